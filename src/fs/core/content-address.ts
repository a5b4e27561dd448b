/**
 * Files whose name says what is in them: the blobs of a registry, and the links that say a digest which
 * their path says already. Such a file can come and go, but never has another content, so that nobody needs
 * to ask whether it is still the same. A tag's own link is none of them: it is what a push moves.
 */

/** `…/blobs/<algorithm>/<two digits>/<digest>/data`, as docker/distribution lays its blobs out. */
const BLOB = /\/blobs\/[a-z0-9+._-]+\/([0-9a-f]{2})\/(\1[0-9a-f]{62,126})\/data$/

/** `…/<which>/<algorithm>/<digest>/link`: of a layer, a manifest, or what a tag has stood for. */
const LINK =
  /\/(?:_layers|_manifests\/revisions|_manifests\/tags\/[^/]+\/index)\/[a-z0-9+._-]+\/[0-9a-f]{64,128}\/link$/

export function isContentAddressed(path: string): boolean {
  return BLOB.test(path) || LINK.test(path)
}
