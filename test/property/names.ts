/**
 * A small tree under random changes of names, against a model that is a map of paths. Either one mount,
 * which keeps files open and remembers inodes as a kernel does, or two that take turns: whoever stops
 * working syncs, so that what the other sees is defined. Nothing is believed (metadataTtl 0).
 * fast-check prints the seed of a failure and shrinks it; found cases are kept below as examples.
 */
import fc from 'fast-check'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { StorageDriver } from '../../src/driver/driver.js'
import type { Ino } from '../../src/fs/operations.js'
import { ErrnoError } from '../../src/util/errno.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { CoreOs, O_CREAT, O_RDWR } from '../helpers/core-os.js'
import type { OpenFile } from '../helpers/core-os.js'
import { sequences } from '../helpers/sequences.js'

type Step =
  | { op: 'mkdir' | 'rmdir' | 'unlink' | 'readdir' | 'stat' | 'remember'; path: string }
  | { op: 'write'; path: string; content: string }
  | { op: 'begin'; path: string; content: string }
  | { op: 'finish' }
  | { op: 'rename'; from: string; to: string; noReplace: boolean }
  | { op: 'sync' }
  | { op: 'forget' }
  | { op: 'switch' }

/** Sequences that were once wrong. */
const FOUND: [Step[]][] = [
  [
    // The last file of a tree goes: every directory above it stays.
    [
      { op: 'mkdir', path: '/a' },
      { op: 'mkdir', path: '/a/a' },
      { op: 'write', path: '/a/a/a', content: '' },
      { op: 'rename', from: '/a/a/a', to: '/c', noReplace: false },
      { op: 'readdir', path: '/a' },
    ],
  ],
  [
    // A directory takes the place of one that has a marker, and leaves it again.
    [
      { op: 'mkdir', path: '/a' },
      { op: 'sync' },
      { op: 'mkdir', path: '/b' },
      { op: 'rename', from: '/b', to: '/a', noReplace: false },
      { op: 'rmdir', path: '/a' },
    ],
  ],
  [
    // The same, and moves on.
    [
      { op: 'mkdir', path: '/b' },
      { op: 'switch' },
      { op: 'mkdir', path: '/c' },
      { op: 'rename', from: '/c', to: '/b', noReplace: false },
      { op: 'rename', from: '/b', to: '/a', noReplace: false },
    ],
  ],
  [
    // Another mount makes a directory anew, without the marker that this one has written.
    [
      { op: 'mkdir', path: '/a' },
      { op: 'remember', path: '/a' },
      { op: 'switch' },
      { op: 'rmdir', path: '/a' },
      { op: 'mkdir', path: '/a' },
      { op: 'write', path: '/a/a', content: '' },
      { op: 'switch' },
      { op: 'unlink', path: '/a/a' },
    ],
  ],
]

const DIRECTORY_TYPE = 0o040000
const FORMAT = 0o170000

/** A file's content, or undefined for a directory. The root is not in it. */
type Model = Map<string, string | undefined>

const path = fc
  .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
  .map(names => `/${names.join('/')}`)
const content = fc.string({ maxLength: 8 })

function one<T extends string>(op: T) {
  return fc.record({ op: fc.constant(op), path })
}

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: one('mkdir') },
  { weight: 3, arbitrary: one('rmdir') },
  { weight: 3, arbitrary: one('unlink') },
  { weight: 3, arbitrary: one('readdir') },
  { weight: 3, arbitrary: one('stat') },
  { weight: 2, arbitrary: one('remember') },
  { weight: 6, arbitrary: fc.record({ op: fc.constant('write' as const), path, content }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('begin' as const), path, content }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('finish' as const) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant('rename' as const),
      from: path,
      to: path,
      noReplace: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('sync' as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('forget' as const) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('switch' as const) }) },
)

class Refusal extends Error {}

function refuse(errno: string): never {
  throw new Refusal(errno)
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

function isBelow(path: string, directory: string): boolean {
  return path.startsWith(`${directory}/`)
}

/** What the model of a call returns; refusals are thrown. */
class Names {
  readonly entries: Model = new Map()

  isDirectory(path: string): boolean {
    return this.entries.has(path) && this.entries.get(path) === undefined
  }

  /** Walks to the parent of the path. */
  #enter(path: string): void {
    const names = path.split('/').slice(1, -1)
    let at = ''
    for (const name of names) {
      at += `/${name}`
      if (!this.entries.has(at)) refuse('ENOENT')
      if (!this.isDirectory(at)) refuse('ENOTDIR')
    }
  }

  /** Which of two bad parents is noticed first is the kernel's affair. */
  #enterBoth(from: string, to: string): void {
    const problems = new Set<string>()
    for (const path of [from, to]) {
      try {
        this.#enter(path)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        problems.add(error.message)
      }
    }
    if (problems.size > 0) refuse([...problems].join(' or '))
  }

  children(directory: string): string[] {
    return [...this.entries.keys()]
      .filter(path => parentOf(path) === directory)
      .map(path => path.slice(directory.length + 1))
      .toSorted()
  }

  existing(path: string): string | undefined {
    this.#enter(path)
    if (!this.entries.has(path)) refuse('ENOENT')
    return this.entries.get(path)
  }

  mkdir(path: string): void {
    this.#enter(path)
    if (this.entries.has(path)) refuse('EEXIST')
    this.entries.set(path, undefined)
  }

  rmdir(path: string): void {
    if (this.existing(path) !== undefined) refuse('ENOTDIR')
    if (this.children(path).length > 0) refuse('ENOTEMPTY')
    this.entries.delete(path)
  }

  unlink(path: string): void {
    if (this.existing(path) === undefined) refuse('EISDIR')
    this.entries.delete(path)
  }

  write(path: string, content: string): void {
    this.#enter(path)
    if (this.isDirectory(path)) refuse('EISDIR')
    this.entries.set(path, content)
  }

  rename(from: string, to: string, noReplace: boolean): void {
    this.#enterBoth(from, to)
    const source = this.existing(from)
    if (from === to) return
    if (noReplace && this.entries.has(to)) refuse('EEXIST')
    if (source !== undefined) {
      if (this.isDirectory(to)) refuse('EISDIR')
      this.entries.delete(from)
      this.entries.set(to, source)
      return
    }
    if (isBelow(to, from)) refuse('EINVAL')
    if (this.entries.has(to) && !this.isDirectory(to)) refuse('ENOTDIR')
    if (this.children(to).length > 0) refuse('ENOTEMPTY')
    for (const [path, content] of Array.from(this.entries)) {
      if (path !== from && !isBelow(path, from)) continue
      this.entries.delete(path)
      this.entries.set(to + path.slice(from.length), content)
    }
  }
}

interface Open {
  readonly file: OpenFile
  path: string
}

interface Host {
  readonly os: CoreOs
  readonly remembered: Ino[]
}

class Play {
  readonly bucket: StorageDriver = createMemoryDriver({ partSize: MiB, minPartSize: MiB })
  readonly names = new Names()
  readonly #hosts: readonly Host[]
  #turn = 0
  #open: Open | undefined

  constructor(hosts: number) {
    this.#hosts = Array.from({ length: hosts }, () => {
      const config = { metadataTtl: 0, markerDelay: 600_000 }
      return { os: new CoreOs(createCore(this.bucket, { config })), remembered: [] }
    })
  }

  get #host(): Host {
    const host = this.#hosts[this.#turn % this.#hosts.length]
    if (host === undefined) throw new Error('no host')
    return host
  }

  async apply(each: Step): Promise<void> {
    const { os } = this.#host
    switch (each.op) {
      case 'switch':
        await this.#sync()
        this.#turn += 1
        return
      case 'sync':
        return this.#sync()
      case 'forget':
        return this.#forget(this.#host)
      case 'begin':
        return this.#begin(each.path, each.content)
      case 'finish':
        return this.#finish()
      case 'remember':
        return this.#remember(each.path)
      case 'rename':
        return this.#rename(each.from, each.to, each.noReplace)
      case 'readdir':
      case 'stat':
        return this.#look(each.path, each.op)
      case 'write':
        if (this.#open?.path === each.path) return
        return this.#both(
          () => this.names.write(each.path, each.content),
          () => os.writeFile(each.path, Buffer.from(each.content)),
        )
      case 'unlink':
        if (this.#open?.path === each.path) return
    }
    const { op, path } = each
    await this.#lookUp(path)
    return this.#both(
      () => this.names[op](path),
      () => os[op](path),
    )
  }

  /** Takes everything apart, and looks at what the store has. */
  async end(): Promise<void> {
    await this.#finish()
    for (const host of this.#hosts) {
      this.#forget(host)
      await host.os.fs.destroy()
      host.os.fs.checkInvariants()
      same(host.os.fs.counts.inodes, 1, 'inodes left')
    }
    const stored: string[] = []
    await this.bucket.walk('/', ({ path, isDir }) => void stored.push(isDir ? `${path}/` : path))
    const { entries } = this.names
    const expected = [...entries].map(([path, content]) =>
      content === undefined ? `${path}/` : path,
    )
    same(stored.toSorted().join(), expected.toSorted().join(), 'the names in the store')
    for (const [path, content] of entries) {
      if (content !== undefined) same(String(await this.bucket.getContent(path)), content, path)
    }
    for await (const upload of this.bucket.uploads('/')) throw new Error(`upload at ${upload.path}`)
  }

  check(): void {
    for (const { os } of this.#hosts) os.fs.checkInvariants()
  }

  /** The model and the mount, which must agree on whether it can be done. */
  async #both(model: () => void, call: () => Promise<unknown>): Promise<void> {
    const expected = await errnoOf(async () => model())
    const actual = await errnoOf(call)
    if (actual !== undefined && expected?.split(' or ').includes(actual) === true) return
    same(actual, expected, 'errno')
  }

  /** As the kernel does before it changes a name. */
  async #lookUp(path: string): Promise<void> {
    await errnoOf(() => this.#host.os.stat(path))
  }

  async #sync(): Promise<void> {
    const { fs, context } = this.#host.os
    await fs.syncfs(context)
  }

  #forget({ os, remembered }: Host): void {
    for (const ino of remembered.splice(0)) os.fs.forget(ino, 1)
  }

  async #remember(path: string): Promise<void> {
    const { os, remembered } = this.#host
    await this.#both(
      () => this.names.existing(path),
      async () => remembered.push((await os.lookup(path)).ino),
    )
  }

  /** A file is made and stays open: the store has nothing of it yet. One mount only. */
  async #begin(path: string, content: string): Promise<void> {
    const { os } = this.#host
    if (this.#hosts.length > 1 || this.#open !== undefined || this.names.entries.has(path)) return
    let file: OpenFile | undefined
    await this.#both(
      () => this.names.write(path, content),
      async () => {
        file = await os.open(path, O_RDWR | O_CREAT)
        await file.write(0, Buffer.from(content))
      },
    )
    if (file !== undefined) this.#open = { file, path }
  }

  async #finish(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    await open?.file.close()
  }

  async #rename(from: string, to: string, noReplace: boolean): Promise<void> {
    const { os } = this.#host
    const open = this.#open
    // What is open there would live on without a name: test/property/files.ts has that.
    if (open?.path === to && from !== to) return
    let moved = false
    await this.#lookUp(from)
    await this.#lookUp(to)
    await this.#both(
      () => {
        this.names.rename(from, to, noReplace)
        moved = true
      },
      () => os.rename(from, to, noReplace ? 1 : 0),
    )
    if (!moved || open === undefined) return
    if (open.path === from || isBelow(open.path, from))
      open.path = to + open.path.slice(from.length)
  }

  async #look(path: string, op: 'readdir' | 'stat'): Promise<void> {
    const { os } = this.#host
    const { names } = this
    if (op === 'readdir') {
      const listed = async () => {
        same((await os.readdir('')).join(), names.children('').join(), 'names at the root')
        if (names.isDirectory(path)) {
          const options = { plus: path.length % 4 === 0, batch: 2 }
          same((await os.readdir(path, options)).join(), names.children(path).join(), 'names')
        }
      }
      return listed()
    }
    await this.#both(
      () => names.existing(path),
      async () => {
        const { mode, size } = await os.stat(path)
        const isDirectory = (mode & FORMAT) === DIRECTORY_TYPE
        same(isDirectory, names.isDirectory(path), 'the kind')
        const content = names.entries.get(path)
        if (content === undefined) return
        same(size, Buffer.byteLength(content), 'the size')
        same(String(await os.readFile(path)), content, 'the content')
      },
    )
  }
}

async function errnoOf(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    if (error instanceof Refusal) return error.message
    if (error instanceof ErrnoError) return error.code
    throw error
  }
}

function same<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected)
    throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

async function run(steps: readonly Step[], hosts: number): Promise<void> {
  const play = new Play(hosts)
  for (const [index, each] of steps.entries()) {
    try {
      await play.apply(each)
      play.check()
    } catch (error) {
      throw new Error(`step ${index}: ${JSON.stringify(each)}`, { cause: error })
    }
  }
  await play.end()
}

t.setTimeout(600_000)

for (const [hosts, who] of [
  [1, 'one mount'],
  [2, 'two mounts that take turns'],
] as const) {
  void t.test(`names behave as a map of paths under any changes by ${who}`, async t => {
    const options = sequences(60)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), steps => run(steps, hosts)),
      { ...options, examples: FOUND },
    )
    t.ok(true, `${options.numRuns} sequences`)
  })
}
