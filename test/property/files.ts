/**
 * One directory of files under random operations from several handles, against a model that is a map
 * of buffers. Parts are 1 MiB so that uploads, copies and flushes in the middle happen all the time.
 * fast-check prints the seed of a failure and shrinks it; found cases are kept below as examples.
 */
import fc from 'fast-check'
import t from 'tap'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { isUnlinked } from '../../src/driver/path.js'
import { MiB } from '../../src/util/units.js'
import { createCore } from '../helpers/core.js'
import { CoreOs, O_CREAT, O_RDWR, O_TRUNC } from '../helpers/core-os.js'
import type { OpenFile } from '../helpers/core-os.js'
import { watched } from '../helpers/watched-driver.js'
import { sequences } from '../helpers/sequences.js'

const PATHS = ['/a', '/b', '/c'] as const
const HANDLES = 3
const MAX_SIZE = 4 * MiB

/** Sequences that were once wrong. */
const FOUND: [Step[]][] = [
  [
    [
      { op: 'open', handle: 1, path: 0, truncate: false },
      { op: 'close', handle: 1 },
      { op: 'rename', from: 0, to: 1 },
    ],
  ],
  [
    // A file that was never stored takes the place of one that was, and leaves it again.
    [
      { op: 'open', handle: 1, path: 0, truncate: false },
      { op: 'close', handle: 1 },
      { op: 'open', handle: 0, path: 2, truncate: false },
      { op: 'rename', from: 2, to: 0 },
      { op: 'rename', from: 0, to: 1 },
    ],
  ],
]

type Step =
  | { op: 'open'; handle: number; path: number; truncate: boolean }
  | { op: 'write'; handle: number; offset: number; length: number; seed: number }
  | { op: 'append'; handle: number; length: number; seed: number }
  | { op: 'read'; handle: number; offset: number; length: number }
  | { op: 'truncate'; handle: number; size: number }
  | { op: 'fsync'; handle: number }
  | { op: 'close'; handle: number }
  | { op: 'rename'; from: number; to: number }
  | { op: 'unlink'; path: number }
  | { op: 'check'; path: number }

const handle = fc.nat(HANDLES - 1)
const path = fc.nat(PATHS.length - 1)
// Sizes near the borders of pages and parts matter most.
const position = fc.oneof(
  fc.nat(MAX_SIZE),
  fc.constantFrom(0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB, 3 * MiB - 5),
)
const length = fc.oneof(fc.nat(3000), fc.nat(1.5 * MiB), fc.constantFrom(0, 1, MiB))
const seed = fc.nat(255)

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant('open' as const), handle, path, truncate: fc.boolean() }),
  fc.record({ op: fc.constant('write' as const), handle, offset: position, length, seed }),
  fc.record({ op: fc.constant('append' as const), handle, length, seed }),
  fc.record({ op: fc.constant('read' as const), handle, offset: position, length }),
  fc.record({ op: fc.constant('truncate' as const), handle, size: position }),
  fc.record({ op: fc.constant('fsync' as const), handle }),
  fc.record({ op: fc.constant('close' as const), handle }),
  fc.record({ op: fc.constant('rename' as const), from: path, to: path }),
  fc.record({ op: fc.constant('unlink' as const), path }),
  fc.record({ op: fc.constant('check' as const), path }),
)

interface Content {
  bytes: Buffer
}

interface Opened {
  readonly file: OpenFile
  readonly content: Content
}

function pattern(size: number, start: number): Buffer {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i += 1) bytes[i] = (start + i * 7 + (i >> 8)) & 0xff
  return bytes
}

function resized(bytes: Buffer, size: number): Buffer {
  const next = Buffer.alloc(size)
  bytes.copy(next, 0, 0, Math.min(bytes.length, size))
  return next
}

async function run(steps: readonly Step[]): Promise<void> {
  const driver = createMemoryDriver({ partSize: MiB, minPartSize: MiB })
  const watch = watched(driver)
  const fs = createCore(watch.driver, { writeMemory: 4 * MiB })
  const os = new CoreOs(fs)
  const model = new Map<string, Content>()
  const open = new Map<number, Opened>()
  for (const [index, each] of steps.entries()) {
    try {
      await apply(os, each, { model, open })
      fs.checkInvariants()
    } catch (error) {
      throw new Error(`step ${index}: ${JSON.stringify(each)}`, { cause: error })
    }
  }
  for (const { file } of open.values()) await file.close()
  await fs.destroy()
  const stored = (await driver.list('/')).toSorted()
  same(stored.join(), [...model.keys()].toSorted().join(), 'the names in the store')
  for (const [name, { bytes }] of model) {
    if (!(await driver.getContent(name)).equals(bytes))
      throw new Error(`${name} differs in the store`)
  }
  for await (const upload of driver.uploads('/')) throw new Error(`upload left at ${upload.path}`)
  // What lost its name while it was open lived elsewhere until it was closed.
  for (const home of new Set(watch.requests.map(request => request.path).filter(isUnlinked))) {
    const left = await driver.getContent(home).catch(() => undefined)
    same(left, undefined, `what is left at ${home}`)
  }
  same(fs.counts.handles, 0, 'open handles')
  same(fs.counts.dirty, 0, 'dirty files')
}

interface State {
  readonly model: Map<string, Content>
  readonly open: Map<number, Opened>
}

async function apply(os: CoreOs, each: Step, { model, open }: State): Promise<void> {
  switch (each.op) {
    case 'open': {
      if (open.has(each.handle)) return
      const name = PATHS[each.path] ?? ''
      const file = await os.open(name, O_RDWR | O_CREAT | (each.truncate ? O_TRUNC : 0))
      const content = model.get(name) ?? { bytes: Buffer.alloc(0) }
      if (each.truncate) content.bytes = Buffer.alloc(0)
      model.set(name, content)
      open.set(each.handle, { file, content })
      return
    }
    case 'rename': {
      const from = PATHS[each.from] ?? ''
      const to = PATHS[each.to] ?? ''
      const content = model.get(from)
      if (content === undefined || from === to) return
      await os.rename(from, to)
      model.delete(from)
      model.set(to, content)
      return
    }
    case 'unlink': {
      const name = PATHS[each.path] ?? ''
      const content = model.get(name)
      if (content === undefined) return
      await os.unlink(name)
      model.delete(name)
      return
    }
    case 'check': {
      const name = PATHS[each.path] ?? ''
      same(await os.exists(name), model.has(name), `existence of ${name}`)
      same(
        (await os.readdir('/')).join(),
        [...model.keys()].toSorted().join().replaceAll('/', ''),
        'names',
      )
      const content = model.get(name)
      if (content === undefined) return
      same((await os.stat(name)).size, content.bytes.length, 'size')
      bytes(await os.readFile(name), content.bytes)
      return
    }
    default: {
      const opened = open.get(each.handle)
      if (opened !== undefined) await applyToHandle(each, opened, open)
    }
  }
}

async function applyToHandle(
  each: Extract<Step, { handle: number }>,
  { file, content }: Opened,
  open: Map<number, Opened>,
): Promise<void> {
  switch (each.op) {
    case 'write':
    case 'append': {
      const offset = each.op === 'append' ? content.bytes.length : each.offset
      if (offset + each.length > 2 * MAX_SIZE) return
      const data = pattern(each.length, each.seed)
      same(await file.write(offset, data), data.length, 'bytes written')
      const size = Math.max(content.bytes.length, data.length === 0 ? 0 : offset + data.length)
      content.bytes = resized(content.bytes, size)
      data.copy(content.bytes, offset)
      return
    }
    case 'read': {
      const expected = content.bytes.subarray(each.offset, each.offset + each.length)
      bytes(await file.read(each.offset, each.length), expected)
      return
    }
    case 'truncate':
      await file.truncate(each.size)
      content.bytes = resized(content.bytes, each.size)
      return
    case 'fsync':
      return file.fsync()
    case 'close':
      open.delete(each.handle)
      return file.close()
    default:
  }
}

function same<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected)
    throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

function bytes(actual: Buffer, expected: Buffer): void {
  if (actual.equals(expected)) return
  const at = actual.findIndex((byte, i) => byte !== expected[i])
  throw new Error(`${actual.length} bytes instead of ${expected.length}, different from ${at} on`)
}

t.setTimeout(600_000)

void t.test('files behave as a map of buffers under any sequence of operations', async t => {
  const options = sequences(60)
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), steps => run(steps)),
    { ...options, examples: FOUND },
  )
  t.ok(true, `${options.numRuns} sequences`)
})
