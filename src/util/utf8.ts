/**
 * Strings as UTF-8 sees them, without encoding them. JavaScript orders strings by UTF-16 code units;
 * object stores and file systems order names by UTF-8 bytes, which is the order of code points.
 */

/** Maps a code unit so that surrogates (code points from U+10000) sort behind U+E000 to U+FFFF. */
function rank(unit: number): number {
  if (unit >= 0xe000) return unit - 0x800
  return unit >= 0xd800 ? unit + 0x2000 : unit
}

/** Compares two strings by the order of their UTF-8 bytes: negative, 0 or positive. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Whether the string can be written as UTF-8: it has no lone surrogate. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}
