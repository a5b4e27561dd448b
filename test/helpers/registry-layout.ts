/**
 * What docker-registry 2.8 keeps on disk, computed from what was pushed: the files with their
 * content, and the directories that are left empty.
 *
 * A registry stores a blob once and refers to it by small files, called links, that hold its digest.
 */

import { EMPTY_DIRECTORY, fingerprint, type Contents } from './tree.js'

const V2 = '/docker/registry/v2'

export class RegistryLayout {
  /** Content by path below the registry's root. */
  readonly files = new Map<string, Buffer>()
  /** Directories with nothing in them, also by path below the root. */
  readonly emptyDirectories = new Set<string>()

  get contents(): Contents {
    return Object.fromEntries([
      ...[...this.files].map(([path, content]) => [path, fingerprint(content)]),
      ...[...this.emptyDirectories].map(path => [`${path}/`, EMPTY_DIRECTORY]),
    ]) as Contents
  }

  /** A blob that a repository has: a layer, a configuration, or a blob uploaded by itself. */
  addBlob(repository: string, digest: string, content: Buffer): void {
    this.files.set(blobFile(digest), content)
    this.#link(`${repositoryFolder(repository)}/_layers/${folders(digest)}`, digest)
  }

  addManifest(repository: string, digest: string, content: Buffer): void {
    this.files.set(blobFile(digest), content)
    this.#link(revisionFolder(repository, digest), digest)
  }

  addTag(repository: string, tag: string, digest: string): void {
    const folder = `${repositoryFolder(repository)}/_manifests/tags/${tag}`
    this.#link(`${folder}/current`, digest)
    this.#link(`${folder}/index/${folders(digest)}`, digest)
  }

  /** A deleted manifest takes its tags with it; the folder of the revision stays. */
  deleteManifest(repository: string, digest: string, tags: readonly string[]): void {
    const folder = revisionFolder(repository, digest)
    this.files.delete(`${folder}/link`)
    this.emptyDirectories.add(folder)
    for (const tag of tags) {
      const tagFolder = `${repositoryFolder(repository)}/_manifests/tags/${tag}/`
      for (const path of this.files.keys()) {
        if (path.startsWith(tagFolder)) this.files.delete(path)
      }
    }
  }

  /** Garbage collection removes a blob's folder, not the folder of its prefix, nor any link. */
  collectBlob(digest: string): void {
    const prefixFolder = blobFile(digest).split('/').slice(0, -2).join('/')
    this.files.delete(blobFile(digest))
    const used = [...this.files.keys()].some(path => path.startsWith(`${prefixFolder}/`))
    if (!used) this.emptyDirectories.add(prefixFolder)
  }

  /** What is left of an upload that was begun, given bytes, and cancelled: a quirk of the registry. */
  addCancelledUpload(repository: string, id: string, state: Buffer): void {
    const folder = `${repositoryFolder(repository)}/_uploads/${id}`
    this.files.set(`${folder}/hashstates/sha256/0`, state)
  }

  #link(folder: string, digest: string): void {
    this.files.set(`${folder}/link`, Buffer.from(digest))
  }
}

function repositoryFolder(repository: string): string {
  return `${V2}/repositories/${repository}`
}

function revisionFolder(repository: string, digest: string): string {
  return `${repositoryFolder(repository)}/_manifests/revisions/${folders(digest)}`
}

function folders(digest: string): string {
  return digest.replace(':', '/')
}

function blobFile(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return `${V2}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}/data`
}
