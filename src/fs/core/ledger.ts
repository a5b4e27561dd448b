/**
 * What a mount has put into the store that nobody would find after its death.
 *
 * Model: a record is made durable before the thing itself is made, and struck out when the thing is
 * gone. The store chooses the id of an upload: before there is one, its path and the time are noted. What is left in the ledger of a
 * mount that was killed is removed by the next mount of the same store; what it was moving, the next
 * one knows.
 */

import type { Composition } from '../../driver/driver.js'
import type { Logger } from '../../util/log.js'
import type { Milliseconds } from '../../util/units.js'

/** A directory's old and new name. */
export interface Move {
  readonly from: string
  readonly to: string
}

/**
 * The content of an unlinked file, the content that a name may lack because its unlink has failed, an
 * upload that is about to be begun, an unfinished one, or a directory that may lie partly under one and
 * partly under another name.
 */
export type LedgerEntry =
  | { readonly kind: 'object'; readonly path: string }
  | { readonly kind: 'return'; readonly path: string; readonly to: string }
  | {
      readonly kind: 'begun'
      readonly path: string
      readonly at: Milliseconds
      /** It may have parts: that of a large copy, which is an upload inside. */
      readonly isFilled?: boolean
    }
  | { readonly kind: 'upload'; readonly path: string; readonly uploadId: string }
  | ({ readonly kind: 'move' } & Move)

export interface Ledger {
  /** Resolves when the record outlives this process and a loss of power; rejects if it may not. */
  record(entry: LedgerEntry): Promise<void>
  /** The thing is gone. Need not be durable: what is removed twice does no harm. */
  strike(entry: LedgerEntry): void
}

/** For mounts that keep no state: what a killed one leaves behind stays. */
export const noLedger: Ledger = {
  record: async () => undefined,
  strike: () => undefined,
}

/** A composition that is struck out when it ends; the ledger has it when this resolves. */
export async function recorded(
  composition: Composition,
  { ledger, log }: { readonly ledger: Ledger; readonly log: Logger },
): Promise<Composition> {
  const { path, uploadId } = composition
  const entry: LedgerEntry = { kind: 'upload', path, uploadId }
  await ledger.record(entry).catch((error: unknown) => {
    // An upload that may be left behind is better than a file that cannot be written.
    log.warn({ path, uploadId, err: error }, 'cannot note an upload')
  })
  return {
    path,
    uploadId,
    uploadPart: (...request) => composition.uploadPart(...request),
    copyPart: (...request) => composition.copyPart(...request),
    complete: async (...request) => {
      const result = await composition.complete(...request)
      ledger.strike(entry)
      return result
    },
    abort: async (...request) => {
      await composition.abort(...request)
      ledger.strike(entry)
    },
  }
}
