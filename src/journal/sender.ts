/**
 * Brings one record to the store, under the conditions that keep it from replacing what another host has
 * put there meanwhile. Such a version is never lost, and neither is ours: it is stored beside, under a
 * name that says whose it is and when it was found out.
 *
 * What is there and is exactly what is being sent counts as sent: a process may have died before it had
 * noted that. Small contents are told by their etags, others are read and compared.
 */
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import type {
  CompleteOptions,
  FileInfo,
  Metadata,
  Part,
  StorageDriver,
  WriteConditions,
  WriteOptions,
  WriteResult,
} from '../driver/driver.js'
import {
  ConflictError,
  PathNotFoundError,
  PreconditionError,
  UnsupportedError,
} from '../driver/errors.js'
import { PartLayout } from '../driver/parts.js'
import type { PartRange } from '../driver/parts.js'
import { baseName, MAX_COMPONENT_BYTES, withoutSlash } from '../driver/path.js'
import type { Logger } from '../util/log.js'
import { forEachParallel, Semaphore } from '../util/semaphore.js'
import { MiB, type Bytes, type Milliseconds } from '../util/units.js'
import type { Contents } from './contents.js'
import { isMarkerKey } from './record.js'
import type { DeleteRecord, JournalRecord, PutRecord } from './record.js'
import type { Uploads } from './uploads.js'

export interface SenderOptions {
  readonly remote: StorageDriver
  readonly contents: Contents
  readonly uploads: Uploads
  /** Unix time. */
  readonly clock: () => Milliseconds
  /** Of this machine, in names of conflicts; default the host's name. */
  readonly host?: string
  readonly log: Logger
}

export interface Sending {
  /** It may be there already. */
  readonly isDoubtful: boolean
  readonly signal: AbortSignal
  /** Must have noted what the store will call the version before it can have it. */
  readonly expect: (etag: string) => Promise<void>
}

export interface Sent {
  /** The store's name of the version; undefined if the name holds something else. */
  readonly etag: string | undefined
  /** Where ours is, if another host's is under the name. */
  readonly beside?: string
}

/** Parts, and contents of such a size, that are in memory at once. */
const IN_MEMORY = 4
/** Smaller contents do not count. */
const SMALL: Bytes = MiB
/** What is sent so long after it was written may be older than what is there. */
const LATE: Milliseconds = 60_000
/** By which clocks may differ. */
const SKEW: Milliseconds = 60_000
/** Bytes compared at once. */
const COMPARED: Bytes = 4 * MiB
/** Times that a file is replaced which others replace meanwhile. */
const TRIES = 10
/** Names to try for what is stored beside. */
const NAMES = 10

const MD5 = /^[0-9a-f]{32}$/
/** Of what was put together of parts. */
const COMPOSED = /^-[0-9a-f]{32}$/

export class Sender {
  readonly #options: SenderOptions
  readonly #layout: PartLayout
  readonly #memory = new Semaphore(IN_MEMORY)

  constructor(options: SenderOptions) {
    this.#options = options
    this.#layout = new PartLayout(options.remote.partLimits)
  }

  /** @throws whatever the store throws; nothing is known then */
  async put(record: PutRecord, sending: Sending): Promise<Sent> {
    if (isMarkerKey(record.key)) return this.#putMarker(record, sending)
    const { isDoubtful } = sending
    const isLate = isDoubtful || this.#options.clock() - record.changed > LATE
    try {
      if (record.base.is === 'any') return await this.#putOver(record, { ...sending, isLate })
      const found =
        isDoubtful && !this.#isSmall(record) ? await this.#find(record, sending) : undefined
      if (found !== undefined) return found
      const repeated = isDoubtful ? { repeated: true } : {}
      return await this.#upload(record, { ...conditionsOf(record), ...repeated }, sending)
    } catch (error) {
      if (error instanceof PreconditionError) return await this.#resolve(record, error, sending)
      if (error instanceof ConflictError) return await this.#beside(record, error, sending)
      throw error
    }
  }

  /** Whether another host has put something there after the delete that is about to be sent. */
  async isOutdated(
    { key, changed, base }: DeleteRecord,
    { isDoubtful, signal }: Pick<Sending, 'isDoubtful' | 'signal'>,
  ): Promise<boolean> {
    const isLate = isDoubtful || this.#options.clock() - changed > LATE
    if (isMarkerKey(key) || !isLate) return false
    const info = await this.#stat(key, signal)
    if (info?.etag === undefined || base.own?.includes(info.etag) === true) return false
    return (info.modTime?.getTime() ?? 0) > changed + SKEW
  }

  /** Whether a version of this mount's own is under the key. */
  async isOwnThere({ key, base }: JournalRecord, signal: AbortSignal): Promise<boolean> {
    const info = await this.#stat(key, signal)
    return info?.etag !== undefined && base.own?.includes(info.etag) === true
  }

  async #putMarker({ key, metadata }: PutRecord, { signal }: Sending): Promise<Sent> {
    const { remote } = this.#options
    const path = withoutSlash(key)
    try {
      await remote.makeDirectory(path, { signal, ...(metadata !== undefined && { metadata }) })
    } catch (error) {
      if (!(error instanceof UnsupportedError)) throw error
      await remote.makeDirectory(path, { signal })
    }
    return { etag: undefined }
  }

  /**
   * Replaces whatever is there, unless it may be newer. Under a condition all the same: a request that a
   * process has left behind as it died, and that arrives late, must not replace what came after it.
   */
  async #putOver(
    record: PutRecord,
    sending: Sending & { readonly isLate: boolean },
  ): Promise<Sent> {
    const { isLate, signal } = sending
    const { own = [] } = record.base
    let expected = isLate ? undefined : own.at(-1)
    for (let tries = 1; ; tries += 1) {
      if (expected === undefined) {
        const info = await this.#stat(record.key, signal)
        const taken = await this.#judge(record, info, sending)
        if (taken !== undefined) return taken
        expected = info?.etag
      }
      const condition =
        expected === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: expected }
      try {
        return await this.#upload(record, condition, sending)
      } catch (error) {
        if (tries === TRIES || !(error instanceof PreconditionError)) throw error
        expected = undefined
      }
    }
  }

  /** Whether what is there is to stay: the same, or newer than what comes late. */
  async #judge(
    record: PutRecord,
    info: FileInfo | undefined,
    sending: Sending & { readonly isLate: boolean },
  ): Promise<Sent | undefined> {
    if (info?.etag === undefined || !sending.isLate) return undefined
    const same = await this.#takeSame(record, info, sending)
    const isOwn = record.base.own?.includes(info.etag) === true
    const isOlder = (info.modTime?.getTime() ?? 0) <= record.changed
    if (same !== undefined || isOwn || isOlder) return same
    return await this.#beside(record, new Error(`${record.key} is newer in the store`), sending)
  }

  /** Looks whether it is there before much is sent again. */
  async #find(record: PutRecord, sending: Sending): Promise<Sent | undefined> {
    const info = await this.#stat(record.key, sending.signal)
    return info === undefined ? undefined : await this.#takeSame(record, info, sending)
  }

  /** What is under the name is not what was expected there. */
  async #resolve(record: PutRecord, error: unknown, sending: Sending): Promise<Sent> {
    const { signal } = sending
    const info = await this.#stat(record.key, signal)
    if (info?.etag !== undefined) {
      const same = await this.#takeSame(record, info, sending)
      if (same !== undefined) return same
      if (record.base.own?.includes(info.etag) === true) {
        return await this.#upload(record, { ifMatch: info.etag }, sending)
      }
    }
    return await this.#beside(record, error, sending)
  }

  async #beside(record: PutRecord, cause: unknown, sending: Sending): Promise<Sent> {
    const { clock, host = hostname(), log } = this.#options
    // Another file: nothing of it will be found under the record's name.
    const elsewhere = { ...sending, expect: async () => undefined }
    for (let number = 1; ; number += 1) {
      const name = conflictName(record.key, { host, time: clock(), number })
      try {
        await this.#upload({ ...record, key: name }, { ifNoneMatch: '*' }, elsewhere)
        log.error(
          { path: record.key, beside: name, err: cause },
          'another host has changed a file before it was uploaded: ours is stored beside',
        )
        return { etag: undefined, beside: name }
      } catch (error) {
        if (number === NAMES || !(error instanceof PreconditionError)) throw error
      }
    }
  }

  async #upload(record: PutRecord, conditions: WriteConditions, sending: Sending): Promise<Sent> {
    const { etag } = await (this.#isSmall(record)
      ? this.#putWhole(record, conditions, sending)
      : this.#compose(record, conditions, sending))
    return { etag }
  }

  #isSmall({ size }: PutRecord): boolean {
    return size <= this.#layout.part(1).size
  }

  async #putWhole(
    record: PutRecord,
    conditions: WriteConditions,
    { signal, expect }: Sending,
  ): Promise<WriteResult> {
    const { remote } = this.#options
    return await this.#inMemory(record.size, signal, async () => {
      const content = await this.#bytes(record, 0, record.size)
      const options: WriteOptions = { ...conditions, ...headersOf(record), signal }
      if (!MD5.test(record.etag)) await expect(md5(content))
      return await remote.putContent(record.key, content, options)
    })
  }

  async #compose(
    record: PutRecord,
    conditions: WriteConditions,
    { signal, expect }: Sending,
  ): Promise<WriteResult> {
    const { uploads } = this.#options
    const composition = await uploads.begin(record.key, { ...headersOf(record), signal })
    try {
      const parts: Part[] = []
      const send = async (range: PartRange, signal: AbortSignal): Promise<void> => {
        const length = Math.min(range.size, record.size - range.offset)
        await this.#inMemory(length, signal, async () => {
          const bytes = await this.#bytes(record, range.offset, length)
          parts.push(await composition.uploadPart(range.partNumber, [bytes], { signal }))
        })
      }
      await forEachParallel(this.#ranges(record.size), send, { limit: IN_MEMORY, signal })
      const options: CompleteOptions = { ...conditions, signal }
      await expect(etagOf(parts))
      return await composition.complete(parts, options)
    } catch (error) {
      await composition.abort().catch((failure: unknown) => {
        this.#options.log.warn({ path: record.key, err: failure }, 'cannot abort an upload')
      })
      throw error
    }
  }

  *#ranges(size: Bytes): Generator<PartRange> {
    for (let number = 1; ; number += 1) {
      const range = this.#layout.part(number)
      if (range.offset >= size) return
      yield range
    }
  }

  async #inMemory<T>(size: Bytes, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (size <= SMALL) return await work()
    const release = await this.#memory.acquire(signal)
    try {
      return await work()
    } finally {
      release()
    }
  }

  async #bytes({ slices }: PutRecord, offset: Bytes, length: Bytes): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length)
    await this.#options.contents.read(slices, offset, [bytes])
    return bytes
  }

  async #stat(path: string, signal: AbortSignal): Promise<FileInfo | undefined> {
    try {
      return await this.#options.remote.stat(path, { expect: 'file', signal })
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }

  /** Counts what is there as sent if it is the same, or replaces it if only its metadata are others. */
  async #takeSame(record: PutRecord, info: FileInfo, sending: Sending): Promise<Sent | undefined> {
    const { etag, metadata = {} } = info
    if (etag === undefined || !(await this.#isSame(record, info, sending.signal))) return undefined
    if (isEqual(metadata, record.metadata ?? {})) return { etag }
    return await this.#upload(record, { ifMatch: etag }, sending)
  }

  async #isSame(record: PutRecord, info: FileInfo, signal: AbortSignal): Promise<boolean> {
    const { etag, size } = info
    if (size !== record.size || etag === undefined) return false
    if (etag === record.etag) return true
    if (MD5.test(etag) && MD5.test(record.etag)) return false
    if (COMPOSED.test(etag) && etag === (await this.#composedEtag(record, signal))) return true
    const theirs = Buffer.allocUnsafeSlow(Math.min(COMPARED, size))
    for (let offset = 0; offset < size; offset += COMPARED) {
      const length = Math.min(COMPARED, size - offset)
      const target = theirs.subarray(0, length)
      await this.#options.remote.readInto(record.key, target, { offset, etag, signal })
      if (!(await this.#bytes(record, offset, length)).equals(target)) return false
    }
    return true
  }

  /** What the store calls it when it was put together of the parts that are sent now. */
  async #composedEtag(record: PutRecord, signal: AbortSignal): Promise<string> {
    const parts: Part[] = []
    for (const { partNumber, offset, size } of this.#ranges(record.size)) {
      signal.throwIfAborted()
      const length = Math.min(size, record.size - offset)
      const etag = md5(await this.#bytes(record, offset, length))
      parts.push({ partNumber, etag, size: length })
    }
    return etagOf(parts)
  }
}

function isEqual(one: Metadata, other: Metadata): boolean {
  const names = Object.keys(one)
  if (names.length !== Object.keys(other).length) return false
  return names.every(name => one[name] === other[name])
}

function conditionsOf({ base }: PutRecord): WriteConditions {
  if (base.is === 'version') return { ifMatch: base.etag }
  return base.is === 'absent' ? { ifNoneMatch: '*' } : {}
}

function headersOf({
  metadata,
  contentType,
}: PutRecord): Pick<WriteOptions, 'metadata' | 'contentType'> {
  return {
    ...(metadata !== undefined && Object.keys(metadata).length > 0 && { metadata }),
    ...(contentType !== undefined && { contentType }),
  }
}

/** Of a composition, as BOS makes it from those of its parts. */
function etagOf(parts: readonly Part[]): string {
  const ordered = parts.toSorted((a, b) => a.partNumber - b.partNumber)
  const [only, ...others] = ordered
  if (only !== undefined && others.length === 0) return only.etag
  return `-${md5(Buffer.from(ordered.map(({ etag }) => etag).join('')))}`
}

function md5(content: Uint8Array): string {
  return createHash('md5').update(content).digest('hex')
}

/** `/a/name` as `/a/name.conflict-host-20240501T120000Z`, cut where it would be too long. */
export function conflictName(
  path: string,
  { host, time, number }: { readonly host: string; readonly time: Milliseconds; number: number },
): string {
  const name = baseName(path)
  const when = new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const who = host.replaceAll(/[^A-Za-z0-9-]+/g, '-').slice(0, 40)
  const suffix = `.conflict-${who}-${when}${number === 1 ? '' : `-${number}`}`
  let kept = name
  while (Buffer.byteLength(kept + suffix) > MAX_COMPONENT_BYTES) {
    // Never half of a character.
    kept = Array.from(kept).slice(0, -1).join('')
  }
  return `${path.slice(0, path.length - name.length)}${kept}${suffix}`
}
