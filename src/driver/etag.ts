/**
 * The names that BOS gives to versions, so that what was sent is known by them. Pure.
 *
 * An object that was put in one piece has the MD5 of its bytes. One that was put together of parts has a
 * hyphen and the MD5 of their etags in hex, one after the other; of one part, that part's.
 *
 * @see BOS PutObject, CompleteMultipartUpload: ETag
 */
import { createHash } from 'node:crypto'
import type { Part } from './driver.js'

const WHOLE = /^[0-9a-f]{32}$/
const COMPOSED = /^-[0-9a-f]{32}$/

/** The etag of what is put in one piece; also of a part. */
export function contentEtag(content: Uint8Array | readonly Uint8Array[]): string {
  const hash = createHash('md5')
  for (const piece of content instanceof Uint8Array ? [content] : content) hash.update(piece)
  return hash.digest('hex')
}

/** The etag of what is made of parts with these etags, in this order. */
export function multipartEtag(etags: readonly string[]): string {
  const [first, second] = etags
  if (first !== undefined && second === undefined) return first
  return `-${createHash('md5').update(etags.join('')).digest('hex')}`
}

/** The same of parts in any order. */
export function composedEtag(parts: readonly Part[]): string {
  const ordered = parts.toSorted((a, b) => a.partNumber - b.partNumber)
  return multipartEtag(ordered.map(({ etag }) => etag))
}

/** Whether the etag is the MD5 of the bytes. */
export function isContentEtag(etag: string): boolean {
  return WHOLE.test(etag)
}

/** Whether the etag follows from those of parts. */
export function isComposedEtag(etag: string): boolean {
  return COMPOSED.test(etag)
}
