/** CRC-32 of bytes that lie in pieces. */
import { crc32 } from 'node:zlib'

/**
 * CRC-32 (IEEE) of pieces one after the other. zlib starts anew when it is given no bytes; here empty
 * pieces change nothing.
 *
 * @param before  that of what comes before them; default of nothing
 */
export function crc32Of(pieces: readonly Uint8Array[], before = 0): number {
  let sum = before
  for (const piece of pieces) if (piece.length > 0) sum = crc32(piece, sum)
  return sum
}
