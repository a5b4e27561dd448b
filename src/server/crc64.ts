/**
 * CRC-64 with the ECMA-182 polynomial, reflected, inverted before and after, as xz has it and what the
 * `crc64ecma` of object stores means. In two halves of 32 bits: BigInt would be many times slower. Pure.
 */

/** 0x42F0E1EBA9EA3693 with its bits reversed. */
const POLYNOMIAL = { high: 0xc96c5795, low: 0xd7870f42 } as const

const [HIGH, LOW] = makeTables()

function makeTables(): readonly [Uint32Array, Uint32Array] {
  const highs = new Uint32Array(256)
  const lows = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte += 1) {
    let high = 0
    let low = byte
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = low & 1
      low = (low >>> 1) | (high << 31)
      high >>>= 1
      if (odd === 1) {
        high ^= POLYNOMIAL.high
        low ^= POLYNOMIAL.low
      }
    }
    highs[byte] = high
    lows[byte] = low
  }
  return [highs, lows]
}

/** Takes data piece by piece. */
export class Crc64 {
  #high = 0xffffffff
  #low = 0xffffffff

  update(bytes: Uint8Array): void {
    let high = this.#high
    let low = this.#low
    for (let at = 0; at < bytes.length; at += 1) {
      const index = (low ^ (bytes[at] ?? 0)) & 0xff
      low = ((low >>> 8) | (high << 24)) ^ (LOW[index] ?? 0)
      high = (high >>> 8) ^ (HIGH[index] ?? 0)
    }
    this.#high = high
    this.#low = low
  }

  /** Unsigned, in decimal. */
  digest(): string {
    const high = BigInt(~this.#high >>> 0)
    return ((high << 32n) | BigInt(~this.#low >>> 0)).toString()
  }
}
