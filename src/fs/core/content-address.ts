/**
 * Files whose name says what is in them: the blobs of a registry. Such a file can come and go, but never
 * has another content, so that nobody needs to ask whether it is still the same.
 */

/** `…/blobs/<algorithm>/<two digits>/<digest>/data`, as docker/distribution lays its blobs out. */
const BLOB = /\/blobs\/[a-z0-9+._-]+\/([0-9a-f]{2})\/(\1[0-9a-f]{62,126})\/data$/

export function isContentAddressed(path: string): boolean {
  return BLOB.test(path)
}
