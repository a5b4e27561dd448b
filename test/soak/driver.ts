/**
 * A soak of the driver: operations chosen by a seed, one after the other and some side by side, on the
 * BOS driver over a server that injects faults, and on the memory driver as the model. After every
 * operation the answers, and at the end both whole stores, must be the same.
 *
 *     npm run soak:driver [-- OPERATIONS SEED]
 *
 * An operation that fails under a fault although it was repeated may have had its effect or not; then
 * the store is looked at, and must show the one or the other, never a third thing.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBosDriver } from '../../src/driver/bos/driver.js'
import type { StorageDriver } from '../../src/driver/driver.js'
import { DriverError } from '../../src/driver/errors.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { parseBosParameters } from '../../src/driver/parameters.js'
import type { ActiveFault, Fault } from '../../src/server/faults.js'
import { startBosServer, type BosServer } from '../../src/server/server.js'
import { MiB } from '../../src/util/units.js'
import { bytes, readAll, writeIn } from '../driver/helpers.js'

const BUCKET = 'soak'
const PART = 5 * MiB

/**
 * One in twenty requests is hit, by all kinds alike. Only the bytes of objects are corrupted: a damaged
 * listing that is still JSON cannot be told from a right one; that is what TLS is for.
 */
const FAULT_RATE = 0.05
const FAULTS: readonly Fault[] = [
  { kind: 'delay', delay: 20 },
  { kind: 'error', status: 500, code: 'InternalError' },
  { kind: 'error', status: 503, code: 'SlowDown' },
  { kind: 'error', status: 429, code: 'RequestRateLimitExceeded' },
  { kind: 'hang' },
  { kind: 'hang-response' },
  { kind: 'hang-download', after: 700 },
  { kind: 'html' },
  { kind: 'html', status: 200 },
  { kind: 'reset' },
  { kind: 'reset-upload', after: 500 },
  { kind: 'reset-download', after: 500 },
  { kind: 'reset-after' },
  { kind: 'truncate', after: 500 },
  { kind: 'corrupt', at: 100 },
  { kind: 'corrupt-upload', at: 100 },
  { kind: 'drop-response' },
  { kind: 'error-in-ok', code: 'InternalError' },
  { kind: 'skew-date', skew: 7_200_000 },
]

export interface SoakResult {
  readonly seed: number
  readonly operations: number
  /** Requests that a fault has hit. */
  readonly faults: number
  /** Operations that failed in spite of all retries. */
  readonly failures: number
  /** What differed from the model, with the number of the operation. */
  readonly differences: readonly string[]
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** What an operation answers, made comparable. */
type Answer = unknown

/** The same deed on either driver. */
interface Operation {
  readonly title: string
  /** Changes nothing: a failure leaves nothing to find out. */
  readonly isRead: boolean
  run(driver: StorageDriver): Promise<Answer>
}

const NAMES = ['a', 'b', 'c', 'dir', 'dir/x', 'dir/y', 'dir/sub/z', 'e f%+', 'ü/é', 'dir2/x']

class Choices {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = randomFrom(seed)
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  /** Mostly small, now and then of several parts. */
  content(): Buffer {
    const kind = this.below(60)
    const size =
      kind === 0 ? PART + this.below(PART) : kind < 5 ? this.below(200_000) : this.below(3000)
    return bytes(size, this.below(1_000_000) + 1)
  }

  path(): string {
    return `/${NAMES[this.below(NAMES.length)] ?? 'a'}`
  }

  directory(): string {
    return ['/', '/dir', '/dir/sub', '/ü', '/dir2'][this.below(5)] ?? '/'
  }

  operation(): Operation {
    const make = KINDS[this.below(KINDS.length)] ?? KINDS[0]
    if (make === undefined) throw new Error('there are no operations')
    return make(this)
  }
}

function read(title: string, run: Operation['run']): Operation {
  return { title, isRead: true, run }
}

function change(title: string, run: Operation['run']): Operation {
  return { title, isRead: false, run }
}

const KINDS: readonly ((choose: Choices) => Operation)[] = [
  choose => {
    const [path, content] = [choose.path(), choose.content()]
    return change(`putContent ${path} ${content.length}`, async driver => {
      const { etag } = await driver.putContent(path, content)
      return etag
    })
  },
  choose => {
    const [path, content] = [choose.path(), choose.content()]
    return change(`putContent new ${path}`, async driver => {
      await driver.putContent(path, content, { ifNoneMatch: '*' })
    })
  },
  choose => {
    const [path, content, piece] = [choose.path(), choose.content(), 1 + choose.below(300_000)]
    return change(`writer ${path} ${content.length}`, async driver => {
      const writer = await driver.writer(path)
      try {
        await writeIn(writer, content, Math.max(piece, 1000))
        const { size } = await writer.commit()
        return size
      } catch (error) {
        await writer.cancel().catch(() => undefined)
        throw error
      } finally {
        await writer.close().catch(() => undefined)
      }
    })
  },
  choose => {
    const [path, content] = [choose.path(), choose.content()]
    return change(`compose ${path} ${content.length}`, async driver => {
      const composition = await driver.compose(path)
      try {
        const part = await composition.uploadPart(1, [content])
        const { size } = await composition.complete([part])
        return size
      } catch (error) {
        await composition.abort().catch(() => undefined)
        throw error
      }
    })
  },
  choose => {
    const [from, to] = [choose.path(), choose.path()]
    return change(`copy ${from} ${to}`, async driver => {
      const { size } = await driver.copy(from, to)
      return size
    })
  },
  choose => {
    const [from, to] = [choose.path(), choose.path()]
    // The etag of what was written in parts is each driver's own.
    return change(`move ${from} ${to}`, async driver => (await driver.move(from, to))?.size)
  },
  choose => {
    const path = choose.path()
    return change(`delete ${path}`, driver => driver.delete(path))
  },
  choose => {
    const path = choose.path()
    return change(`deleteFile ${path}`, driver => driver.deleteFile(path))
  },
  choose => {
    const path = choose.path()
    return change(`makeDirectory ${path}`, driver => driver.makeDirectory(path))
  },
  choose => {
    const path = choose.path()
    return change(`removeDirectoryMarker ${path}`, driver => driver.removeDirectoryMarker(path))
  },
  choose => {
    const path = choose.path()
    return read(`getContent ${path}`, async driver => fingerprint(await driver.getContent(path)))
  },
  choose => {
    const [path, offset, length] = [choose.path(), choose.below(2000), choose.below(100_000)]
    return read(`reader ${path} ${offset} ${length}`, async driver =>
      fingerprint(await readAll(driver, path, { offset, length })),
    )
  },
  choose => {
    const [path, offset, length] = [choose.path(), choose.below(2000), choose.below(100_000)]
    return read(`readInto ${path} ${offset} ${length}`, async driver => {
      const target = Buffer.alloc(length)
      const { bytesRead, size } = await driver.readInto(path, target, { offset })
      return [size, fingerprint(target.subarray(0, bytesRead))]
    })
  },
  choose => {
    const path = choose.path()
    return read(`stat ${path}`, async driver => {
      const { size, isDir } = await driver.stat(path)
      return [size, isDir]
    })
  },
  choose => {
    const path = choose.directory()
    return read(`list ${path}`, async driver => (await driver.list(path)).toSorted())
  },
  choose => {
    const path = choose.directory()
    return read(`walk ${path}`, driver => tree(driver, path))
  },
]

function fingerprint(content: Buffer): string {
  return `${content.length} ${content.subarray(0, 16).toString('hex')} ${hash(content)}`
}

function hash(content: Buffer): number {
  let sum = 0
  for (let i = 0; i < content.length; i += 97) sum = (sum * 31 + (content[i] ?? 0)) >>> 0
  return sum
}

async function tree(driver: StorageDriver, path: string): Promise<string[]> {
  const found: string[] = []
  await driver.walk(path, ({ path: at, isDir, size }) => {
    found.push(`${at} ${isDir ? 'directory' : size}`)
  })
  return found
}

/** Everything that a store holds, contents included. */
async function state(driver: StorageDriver): Promise<string[]> {
  const found: string[] = []
  await driver.walk('/', async ({ path, isDir }) => {
    found.push(isDir ? `${path}/` : `${path} ${fingerprint(await driver.getContent(path))}`)
  })
  return found
}

/** Only the codes: messages name the driver. */
async function outcome(driver: StorageDriver, operation: Operation): Promise<Answer> {
  try {
    return (await operation.run(driver)) ?? 'done'
  } catch (error) {
    if (error instanceof DriverError) return { code: error.code }
    throw error
  }
}

/** What an operation may fail with for a fault's sake; all else is an answer like any other. */
const TROUBLE: ReadonlySet<string> = new Set([
  'FAILED',
  'THROTTLED',
  'TIMEOUT',
  'INTEGRITY',
  'ACCESS_DENIED',
  'NOT_FOUND',
])

function isTrouble(answer: Answer): boolean {
  const code = (answer as { code?: string } | null)?.code
  return code !== undefined && TROUBLE.has(code)
}

function same(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

class Soak {
  readonly #server: BosServer
  readonly #choose: Choices
  readonly #seed: number
  readonly #model = createMemoryDriver({ partSize: PART })
  readonly #driver: StorageDriver
  readonly #differences: string[] = []
  #failures = 0
  #active: readonly ActiveFault[] = []

  constructor(server: BosServer, seed: number) {
    this.#server = server
    this.#seed = seed
    this.#choose = new Choices(seed)
    this.#driver = createBosDriver(
      parseBosParameters({
        accesskeyid: 'soak',
        accesskeysecret: 'soak-secret',
        endpoint: server.url,
        bucket: BUCKET,
        chunksize: PART,
      }),
      {
        requestTimeout: 700,
        idleTimeout: 700,
        retry: { attempts: 8, baseDelay: 1, maxDelay: 20, budget: { capacity: 1000 } },
      },
    )
  }

  async run(operations: number): Promise<SoakResult> {
    this.#active = FAULTS.map((fault, i) =>
      this.#server.faults.add({
        fault,
        ...(fault.kind === 'corrupt' ? { operation: 'GetObject' as const } : {}),
        probability: FAULT_RATE / FAULTS.length,
        seed: this.#seed + i + 1,
      }),
    )
    try {
      for (let i = 0; i < operations && this.#differences.length < 5; i++) await this.#step(i)
      const faults = this.#hits()
      this.#server.faults.clear()
      await this.#compare('at the end')
      return {
        seed: this.#seed,
        operations,
        faults,
        failures: this.#failures,
        differences: this.#differences,
      }
    } finally {
      await this.#driver.close()
    }
  }

  /** Requests that a fault has hit so far. */
  #hits(): number {
    return this.#active.reduce((sum, rule) => sum + rule.hits, 0)
  }

  async #step(number: number): Promise<void> {
    const operation = this.#choose.operation()
    const title = `${number} ${operation.title}`
    const before = this.#hits()
    const found = await outcome(this.#driver, operation)
    const wasHit = this.#hits() > before
    if (isTrouble(found)) {
      this.#failures++
      if (!operation.isRead) await this.#settle(operation, title)
      return
    }
    const expected = await outcome(this.#model, operation)
    // After a lost answer nobody can tell whether there was something to delete.
    const mayBeDone = wasHit && found === 'done' && operation.title.startsWith('delete ')
    if (!same(found, expected) && !mayBeDone) {
      const [is, be] = [found, expected].map(answer => JSON.stringify(answer).slice(0, 300))
      this.#differences.push(`${title}: ${is} instead of ${be}`)
    }
  }

  /** The effect is there or not; a directory may have been moved or deleted in part. */
  async #settle(operation: Operation, title: string): Promise<void> {
    const rules = this.#pause()
    const before = await state(this.#model)
    const now = await state(this.#driver)
    if (same(now, before)) return rules()
    // Done again without faults it must end as the model does.
    await outcome(this.#driver, operation)
    await outcome(this.#model, operation)
    await this.#compare(title)
    rules()
  }

  /** No faults until the function is called that it gives. */
  #pause(): () => void {
    const calm = { count: 0 }
    const { faults } = this.#server
    const take = faults.take.bind(faults)
    faults.take = () => (calm.count++, [])
    return () => {
      faults.take = take
    }
  }

  async #compare(when: string): Promise<void> {
    const [found, expected] = [await state(this.#driver), await state(this.#model)]
    for (const line of found.filter(each => !expected.includes(each))) {
      this.#differences.push(`${when}: ${line} should not be there`)
    }
    for (const line of expected.filter(each => !found.includes(each))) {
      this.#differences.push(`${when}: ${line} is missing`)
    }
  }
}

/** Plays so many operations from a seed, on a server of its own. */
export async function soak(operations: number, seed: number): Promise<SoakResult> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'bos-soak-'))
  const server = await startBosServer({
    dataDirectory,
    buckets: [BUCKET],
    credentials: [{ accessKeyId: 'soak', secretAccessKey: 'soak-secret' }],
    closeTimeout: 1000,
  })
  try {
    return await new Soak(server, seed).run(operations)
  } finally {
    await server.close()
    rmSync(dataDirectory, { recursive: true, force: true })
  }
}
