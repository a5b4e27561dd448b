/**
 * Brings one record to the store, under the conditions that keep it from replacing what another host has
 * put there meanwhile. Such a version is never lost, and neither is ours: it is stored beside, under a
 * name that says whose it is and when it was found out.
 *
 * What is there and is exactly what is being sent counts as sent: a process may have died before it had
 * noted that. Small contents are told by their etags, others are read and compared.
 */
import { hostname } from 'node:os'
import type { FileInfo, Metadata, StorageDriver, WriteConditions } from '../driver/driver.js'
import {
  ConflictError,
  PathNotFoundError,
  PreconditionError,
  UnsupportedError,
} from '../driver/errors.js'
import { parentPath, withoutSlash } from '../driver/path.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import { conflictName } from './conflict-name.js'
import type { Contents } from './contents.js'
import { isMarkerKey } from './record.js'
import type { DeleteRecord, JournalRecord, PutRecord } from './record.js'
import { Transfer } from './transfer.js'
import type { Sending } from './transfer.js'
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

export interface Sent {
  /** The store's name of the version; undefined if the name holds something else. */
  readonly etag: string | undefined
  /** Where ours is, if another host's is under the name. */
  readonly beside?: string
}

/** What is sent so long after it was written may be older than what is there. */
const LATE: Milliseconds = 60_000
/** By which clocks may differ. */
const SKEW: Milliseconds = 60_000
/** Times that a file is replaced which others replace meanwhile. */
const TRIES = 10
/** Names to try for what is stored beside. */
const NAMES = 10

export class Sender {
  readonly #options: SenderOptions
  readonly #transfer: Transfer

  constructor(options: SenderOptions) {
    this.#options = options
    this.#transfer = new Transfer(options)
  }

  /** @throws whatever the store throws; nothing is known then */
  async put(record: PutRecord, sending: Sending): Promise<Sent> {
    if (isMarkerKey(record.key)) return this.#putMarker(record, sending)
    const { isDoubtful } = sending
    const isLate = isDoubtful || this.#options.clock() - record.changed > LATE
    try {
      if (record.base.is === 'any') return await this.#putOver(record, { ...sending, isLate })
      const found =
        isDoubtful && !this.#transfer.isSmall(record)
          ? await this.#find(record, sending)
          : undefined
      if (found !== undefined) return found
      const repeated = isDoubtful ? { repeated: true } : {}
      return await this.#transfer.put(record, { ...conditionsOf(record), ...repeated }, sending)
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
        return await this.#transfer.put(record, condition, sending)
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
        return await this.#transfer.put(record, { ifMatch: info.etag }, sending)
      }
    }
    return await this.#beside(record, error, sending)
  }

  async #beside(record: PutRecord, cause: unknown, sending: Sending): Promise<Sent> {
    const { clock, host = hostname(), log } = this.#options
    // Another file: nothing of it will be found under the record's name.
    const elsewhere = { ...sending, expect: async () => undefined }
    let at = record.key
    for (let number = 1; ; number += 1) {
      const name = conflictName(at, { host, time: clock(), number }) + record.key.slice(at.length)
      try {
        await this.#transfer.put({ ...record, key: name }, { ifNoneMatch: '*' }, elsewhere)
        log.error(
          { path: record.key, beside: name, err: cause },
          'another host has changed a file before it was uploaded: ours is stored beside',
        )
        return { etag: undefined, beside: name }
      } catch (error) {
        // Where directories are real it may be one above that has become a file.
        const isBelowFile = error instanceof ConflictError && parentPath(at) !== '/'
        if (isBelowFile) {
          at = parentPath(at)
          number = 0
        } else if (number === NAMES || !(error instanceof PreconditionError)) throw error
      }
    }
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
    if (etag === undefined || !(await this.#transfer.isSame(record, info, sending.signal)))
      return undefined
    if (isEqual(metadata, record.metadata ?? {})) return { etag }
    return await this.#transfer.put(record, { ifMatch: etag }, sending)
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
