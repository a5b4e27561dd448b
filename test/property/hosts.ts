/**
 * Two mounts of one bucket and a third host that changes it directly, in any order, against what the
 * bucket has: whoever opens sees what was closed last, whoever reads on gets one version or ESTALE and
 * never a mix, and whoever changes a version that is not there any more is told. fast-check prints the
 * seed of a failure and shrinks it.
 */
import fc from 'fast-check'
import t from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { ErrnoError } from '../../src/util/errno.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { CoreOs, O_RDONLY, O_RDWR } from '../helpers/core-os.js'
import type { OpenFile } from '../helpers/core-os.js'
import { sequences } from '../helpers/sequences.js'

const PATHS = ['/a', '/d/b'] as const
const SIZE = 2.5 * MiB
/** The part of a file that patches change; the rest has one value all over, another in each version. */
const PATCH = 10

type Step =
  | { op: 'replace'; host: number; path: number }
  | { op: 'unlink'; host: number; path: number }
  | { op: 'rename'; host: number; path: number }
  | { op: 'patch'; host: number; path: number; meanwhile: 'nothing' | 'replace' | 'delete' }
  | { op: 'check'; host: number; path: number }
  | { op: 'open'; host: number; path: number; slot: number }
  | { op: 'read'; slot: number; offset: number }
  | { op: 'close'; slot: number }

const host = fc.nat(2)
const path = fc.nat(PATHS.length - 1)
const slot = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('replace' as const), host, path }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unlink' as const), host, path }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('rename' as const), host, path }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant('patch' as const),
      host,
      path,
      meanwhile: fc.constantFrom('nothing' as const, 'replace' as const, 'delete' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('check' as const), host, path }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('open' as const), host, path, slot }) },
  {
    weight: 5,
    arbitrary: fc.record({
      op: fc.constant('read' as const),
      slot,
      offset: fc.integer({ min: PATCH, max: SIZE - 1000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('close' as const), slot }) },
)

interface Opened {
  readonly file: OpenFile
  readonly host: number
  /** Values that the reader may see: of the version it opened, and of what its own mount has put there. */
  readonly values: Set<number>
  /** The path it was opened by, as long as it names it. */
  path: string | undefined
}

class Play {
  readonly bucket: StorageDriver = createMemoryDriver({ partSize: MiB, minPartSize: MiB })
  readonly #mounts: readonly CoreOs[]
  readonly #open = new Map<number, Opened>()
  #now = 0
  #value = 0

  constructor() {
    // Two mounts; host 2 has none. Time passes, so that no answer is taken for two opens.
    const options = { cacheMemory: 2 * MiB, config: { metadataTtl: 0, readAhead: 0 } }
    this.#mounts = [0, 1].map(
      () => new CoreOs(createCore(this.bucket, { ...options, monotonic: () => (this.#now += 30) })),
    )
  }

  async apply(each: Step): Promise<void> {
    if (each.op === 'read') return this.#read(each.slot, each.offset)
    if (each.op === 'close') return this.#close(each.slot)
    const name = PATHS[each.path] ?? ''
    const os = this.#mounts[each.host]
    switch (each.op) {
      case 'replace':
        return this.#replace(each.host, name)
      case 'unlink':
        return this.#unlink(each.host, name)
      case 'rename':
        return this.#rename(each.host, name)
      case 'patch':
        if (os !== undefined) await this.#patch(each.host, name, each.meanwhile)
        return
      case 'check':
        if (os !== undefined) await this.#check(os, name)
        return
      case 'open':
        if (os !== undefined) await this.#openFor(each.slot, each.host, name)
    }
  }

  async end(): Promise<void> {
    for (const each of [0, 1, 2]) await this.#close(each)
    for (const name of PATHS) for (const os of this.#mounts) await this.#check(os, name)
    for (const { fs } of this.#mounts) {
      await fs.destroy()
      fs.checkInvariants()
    }
  }

  #content(): Buffer {
    this.#value = (this.#value % 250) + 1
    return Buffer.alloc(SIZE, this.#value)
  }

  async #stored(name: string): Promise<Buffer | undefined> {
    return this.bucket.getContent(name).catch(() => undefined)
  }

  async #replace(host: number, name: string): Promise<void> {
    const content = this.#content()
    const os = this.#mounts[host]
    if (os === undefined) await this.bucket.putContent(name, content)
    else {
      await this.#makeParent(os, name)
      await os.writeFile(name, content)
    }
    this.#ownChange(host, name)
    same((await this.#stored(name))?.equals(content), true, 'what was closed is in the bucket')
  }

  async #makeParent(os: CoreOs, name: string): Promise<void> {
    if (name.startsWith('/d/') && !(await os.exists('/d'))) await os.mkdir('/d')
  }

  async #unlink(host: number, name: string): Promise<void> {
    if ((await this.#stored(name)) === undefined) return
    const os = this.#mounts[host]
    await (os === undefined
      ? this.bucket.deleteFile(name)
      : os.stat(name).then(() => os.unlink(name)))
    same(await this.#stored(name), undefined, 'what was unlinked is gone')
    this.#moved(host, name, undefined)
  }

  /** To the other path, over whatever is there. */
  async #rename(host: number, name: string): Promise<void> {
    const os = this.#mounts[host]
    const content = await this.#stored(name)
    if (os === undefined || content === undefined) return
    const to = PATHS.find(other => other !== name) ?? ''
    await this.#makeParent(os, to)
    for (const each of [name, to]) await os.exists(each)
    await os.rename(name, to)
    this.#moved(host, to, undefined)
    this.#moved(host, name, to)
    same((await this.#stored(to))?.equals(content), true, 'what was renamed is there')
    same(await this.#stored(name), undefined, 'the old name is gone')
  }

  async #patch(
    host: number,
    name: string,
    meanwhile: 'nothing' | 'replace' | 'delete',
  ): Promise<void> {
    const os = this.#mounts[host]
    const before = await this.#stored(name)
    if (os === undefined || before === undefined) return
    // What could not be stored is kept while anybody on the mount has the file open.
    if ([...this.#open.values()].some(opened => opened.host === host && opened.path === name))
      return
    const file = await os.open(name, O_RDWR)
    const patch = Buffer.alloc(PATCH, ++this.#value % 250)
    await file.write(0, patch)
    const others = this.#content()
    if (meanwhile === 'replace') await this.bucket.putContent(name, others)
    if (meanwhile === 'delete') await this.bucket.deleteFile(name)
    const errno = await errnoOf(() => file.close())
    const after = await this.#stored(name)
    if (meanwhile === 'nothing') {
      same(errno, undefined, 'nobody was in the way')
      patch.copy(before)
      same(after?.equals(before), true, 'the patch is all that changed')
      return
    }
    same(errno, 'ESTALE', 'the version is not there any more')
    if (meanwhile === 'replace')
      same(after?.equals(others), true, 'what the other has stored stays')
    else same(after, undefined, 'what the other has removed stays away')
  }

  async #check(os: CoreOs, name: string): Promise<void> {
    const stored = await this.#stored(name)
    same(await os.exists(name), stored !== undefined, `existence of ${name}`)
    if (stored !== undefined)
      same((await os.readFile(name)).equals(stored), true, 'what was closed last')
  }

  async #openFor(slot: number, host: number, name: string): Promise<void> {
    const os = this.#mounts[host]
    const stored = await this.#stored(name)
    if (os === undefined || stored === undefined || this.#open.has(slot)) return
    const file = await os.open(name, O_RDONLY)
    this.#open.set(slot, { file, host, path: name, values: new Set([stored[PATCH] ?? 0]) })
  }

  async #read(slot: number, offset: number): Promise<void> {
    const opened = this.#open.get(slot)
    if (opened === undefined) return
    let bytes: Buffer
    try {
      bytes = await opened.file.read(offset, 1000)
    } catch (error) {
      if (error instanceof ErrnoError && error.code === 'ESTALE') return
      throw error
    }
    same(bytes.length, 1000, 'bytes read')
    const [value = 0] = bytes
    same(
      bytes.every(byte => byte === value),
      true,
      'one version',
    )
    same(opened.values.has(value), true, `value ${value} is one that was opened`)
  }

  async #close(slot: number): Promise<void> {
    await this.#open.get(slot)?.file.close()
    this.#open.delete(slot)
  }

  /** Readers on a mount see what is written there through the name they have open. */
  #ownChange(host: number, name: string): void {
    for (const opened of this.#open.values()) {
      if (opened.host === host && opened.path === name) opened.values.add(this.#value)
    }
  }

  #moved(host: number, from: string, to: string | undefined): void {
    for (const opened of this.#open.values()) {
      if (opened.path === from) opened.path = opened.host === host ? to : undefined
    }
  }
}

async function errnoOf(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    if (error instanceof ErrnoError) return error.code
    throw error
  }
}

function same<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected)
    throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

async function run(steps: readonly Step[]): Promise<void> {
  const play = new Play()
  for (const [index, each] of steps.entries()) {
    try {
      await play.apply(each)
    } catch (error) {
      throw new Error(`step ${index}: ${JSON.stringify(each)}`, { cause: error })
    }
  }
  await play.end()
}

t.setTimeout(600_000)

void t.test(
  'hosts see each other as close-to-open promises, and lose nothing silently',
  async t => {
    const options = sequences(30)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), steps => run(steps)),
      options,
    )
    t.ok(true, `${options.numRuns} sequences`)
  },
)
