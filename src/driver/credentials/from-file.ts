/**
 * Credentials out of a file that is read again when it has changed, so that whoever rotates STS
 * credentials only has to replace the file.
 *
 * The file is looked at again after an interval, at once when it was replaced with credentials refused
 * before, and never more than one look is under way. A file that has become unreadable or wrong does
 * not end what works: the credentials from before are kept and the trouble is logged.
 */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { systemClock, type Clock } from '../../util/clock.js'
import { silentLogger, type Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'
import { AccessDeniedError } from '../errors.js'
import { CredentialsFileError, parseCredentialsFile } from './credentials-file.js'
import type { BosCredentials, CredentialsProvider } from './credentials.js'

export interface FileCredentialsOptions {
  /** A relative one is below the working directory of now, which a daemon leaves. */
  path: string
  /** How often the file is looked at, unless it says so itself; default 5 s. */
  interval?: Milliseconds
  clock?: Clock
  log?: Logger
}

/** Permission bits that let others than the owner read a file. */
const OTHERS_READ = 0o044
const DEFAULT_INTERVAL: Milliseconds = 5000

interface Loaded {
  readonly credentials: BosCredentials
  readonly interval: Milliseconds
  /** What tells one state of the file from another. */
  readonly version: string
}

class CredentialsInFile {
  readonly #options: Required<FileCredentialsOptions>
  #loaded: Loaded | undefined
  #lookedAt: Milliseconds = 0
  #look: Promise<void> | undefined
  #warned = false

  constructor(options: FileCredentialsOptions) {
    this.#options = {
      interval: DEFAULT_INTERVAL,
      clock: systemClock,
      log: silentLogger,
      ...options,
      path: resolve(options.path),
    }
  }

  give(refused: BosCredentials | undefined): BosCredentials | Promise<BosCredentials> {
    const loaded = this.#loaded
    const age = this.#options.clock.now() - this.#lookedAt
    if (loaded !== undefined && refused === undefined && age < loaded.interval) {
      return loaded.credentials
    }
    return this.#lookAgain()
  }

  async #lookAgain(): Promise<BosCredentials> {
    this.#look ??= this.#refresh().finally(() => (this.#look = undefined))
    await this.#look
    if (this.#loaded === undefined) throw new Error('no credentials were loaded')
    return this.#loaded.credentials
  }

  async #refresh(): Promise<void> {
    const { clock, log, path } = this.#options
    try {
      this.#loaded = await this.#load()
    } catch (error) {
      const problem = explain(error, path)
      if (this.#loaded === undefined) throw problem
      log.warn({ path, problem: problem.message }, 'credentials from before are used further')
    } finally {
      this.#lookedAt = clock.now()
    }
  }

  async #load(): Promise<Loaded> {
    const { path, log, interval } = this.#options
    const { mode, mtimeMs, ctimeMs, size, ino } = await stat(path)
    const version = [mtimeMs, ctimeMs, size, ino].join(' ')
    if (this.#loaded?.version === version) return this.#loaded
    if ((mode & OTHERS_READ) !== 0 && !this.#warned) {
      this.#warned = true
      log.warn({ path }, 'a credentials file can be read by others: chmod 600')
    }
    const { credentials, reloadInterval } = parseCredentialsFile(await readFile(path, 'utf8'))
    if (this.#loaded !== undefined) log.info({ path }, 'credentials were read again')
    return { credentials, version, interval: reloadInterval ?? interval }
  }
}

function explain(error: unknown, path: string): AccessDeniedError {
  if (error instanceof CredentialsFileError) {
    return new AccessDeniedError(`credentials file ${path}: ${error.message}`, { cause: error })
  }
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  return new AccessDeniedError(`cannot read the credentials file ${path}: ${code}`)
}

/** Rejects with AccessDeniedError while the file has never been readable. */
export function credentialsFromFile(options: FileCredentialsOptions): CredentialsProvider {
  const file = new CredentialsInFile(options)
  return refused => file.give(refused)
}
