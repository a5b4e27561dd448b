/**
 * A 53-bit hash of a text, so that it is a safe integer: two 32-bit FNV-1a style lanes over the UTF-16
 * units, each finished with an avalanche step. Not for security: it gives names stable numbers.
 */
export function hash53(text: string): number {
  let high = 0x811c9dc5
  let low = 0xc2b2ae35
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    high = Math.imul(high ^ unit, 0x01000193)
    low = Math.imul(low ^ unit, 0x85ebca6b)
    low = (low << 13) | (low >>> 19)
  }
  return (avalanche(high ^ low) & 0x1fffff) * 2 ** 32 + (avalanche(low) >>> 0)
}

function avalanche(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x7feb352d)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b)
  return mixed ^ (mixed >>> 16)
}
