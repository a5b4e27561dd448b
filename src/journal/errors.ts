/** What goes wrong with a journal itself. */
import { IntegrityError, QuotaError } from '../driver/errors.js'

/** The journal cannot be used; the message says what to do. Nothing of it was changed. */
export class JournalError extends Error {
  override readonly name = 'JournalError'
  readonly code = 'JOURNAL'
}

/**
 * A content in the journal is not what was written. It is neither served nor sent, and stays where it is until
 * what it belongs to is replaced or removed.
 */
export class DamagedError extends IntegrityError {}

/** What could not be brought to the store; it is in the journal still. */
export class PendingError extends Error {
  override readonly name = 'PendingError'
  readonly code = 'PENDING'
  readonly files: number

  constructor(message: string, files: number, options: ErrorOptions = {}) {
    super(message, options)
    this.files = files
  }
}

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Whether the disk, or what this user may have of it, is full. */
export function isFull(error: unknown): boolean {
  return FULL.has(error instanceof Error && 'code' in error ? String(error.code) : '')
}

/** The file system's own word for "full" in the words of drivers. */
export function asQuota(error: unknown, path: string): unknown {
  if (!isFull(error)) return error
  return new QuotaError(`no space for ${path} in the journal`, { path, cause: error })
}
