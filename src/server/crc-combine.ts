/**
 * CRCs of joined data from the CRCs of its pieces: the CRC of a multipart object without reading it. Pure.
 *
 * Appending n zero bits to data multiplies its CRC by x^n modulo the polynomial, and CRCs are additive; so
 * crc(A B) = crc(A) * x^(8 |B|) + crc(B). Polynomials are 32 bits in reversed order, the bit of x^0 on top.
 */
import type { Bytes } from '../util/units.js'

export interface CrcPiece {
  readonly crc: number
  readonly size: Bytes
}

const CRC32 = 0xedb88320
const CRC32C = 0x82f63b78

/** Enough for x to the 8 * 2^53. */
const POWERS = 57
const ONE = 0x80000000

/** @returns the CRC-32 of the pieces one after the other, unsigned */
export function combineCrc32(pieces: readonly CrcPiece[]): number {
  return combine(pieces, CRC32)
}

/** @returns the CRC-32C of the pieces one after the other, unsigned */
export function combineCrc32c(pieces: readonly CrcPiece[]): number {
  return combine(pieces, CRC32C)
}

function combine(pieces: readonly CrcPiece[], polynomial: number): number {
  const squares = repeatedSquares(polynomial)
  const factors = new Map<Bytes, number>()
  let result = 0
  for (const { crc, size } of pieces) {
    // Most parts of an upload have the same size.
    const factor = factors.get(size) ?? powerOfX(size, squares, polynomial)
    factors.set(size, factor)
    result = (multiply(factor, result, polynomial) ^ crc) >>> 0
  }
  return result
}

/** x to the 2^k for each k. */
function repeatedSquares(polynomial: number): readonly number[] {
  const squares = [ONE >>> 1]
  for (let k = 1; k < POWERS; k += 1) {
    const last = squares[k - 1] ?? 0
    squares.push(multiply(last, last, polynomial))
  }
  return squares
}

/** x to the 8 * size. */
function powerOfX(size: Bytes, squares: readonly number[], polynomial: number): number {
  let power = ONE
  for (let k = 3, rest = size; rest > 0; k += 1, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = multiply(squares[k] ?? 0, power, polynomial)
  }
  return power
}

function multiply(one: number, other: number, polynomial: number): number {
  let product = 0
  let shifted = other
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((one & bit) !== 0) product ^= shifted
    shifted = (shifted & 1) === 1 ? (shifted >>> 1) ^ polynomial : shifted >>> 1
  }
  return product >>> 0
}
