/** Bytes of pieces (write-buffer.ts) that are at hand without any wait. */
import { MiB } from '../util/units.js'
import type { Piece } from './write-buffer.js'

const ZEROS = new Uint8Array(MiB)
/** Whether the bytes are in memory, or zeros. */
export function isResident(piece: Piece): boolean {
  return piece.kind === 'memory' || piece.kind === 'hole'
}

/** The bytes of a resident piece, not copied. */
export function resident(piece: Piece): Uint8Array[] {
  if (piece.kind === 'memory') return [piece.data]
  if (piece.kind !== 'hole') throw new Error(`a ${piece.kind} piece is not in memory`)
  const zeros: Uint8Array[] = []
  for (let left = piece.length; left > 0; left -= ZEROS.length) {
    zeros.push(ZEROS.subarray(0, Math.min(left, ZEROS.length)))
  }
  return zeros
}
