/**
 * What the manifests of each repository refer to: the common first half of counting what is stored
 * for whom, and of finding what nobody needs.
 */
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes } from '../util/units.js'
import type { Digest, RegistryStore } from './layout.js'
import { parseManifest, references } from './manifest.js'
import type { Manifest } from './manifest.js'

/** A manifest that a repository has and that cannot be used. */
export interface BrokenManifest {
  readonly repository: string
  readonly digest: Digest
  readonly problem: 'missing' | 'not a manifest'
}

export interface StoredManifest {
  readonly digest: Digest
  /** Of the manifest itself. */
  readonly size: Bytes
  readonly manifest: Manifest
}

/** Reads at once, per repository. */
const READS_AT_ONCE = 8

export interface RepositoryManifests {
  readonly manifests: ReadonlyMap<Digest, StoredManifest>
  readonly broken: readonly BrokenManifest[]
}

/** The manifests of one repository, in memory: they are few, even where blobs are many. */
export async function readManifests(
  store: RegistryStore,
  repository: string,
): Promise<RepositoryManifests> {
  const manifests = new Map<Digest, StoredManifest>()
  const broken: BrokenManifest[] = []
  const read = async (digest: Digest): Promise<void> => {
    const content = await store.content(digest)
    const manifest = content === undefined ? undefined : parseManifest(content)
    if (content !== undefined && manifest !== undefined) {
      manifests.set(digest, { digest, size: content.length, manifest })
    } else {
      const problem = content === undefined ? 'missing' : 'not a manifest'
      broken.push({ repository, digest, problem })
    }
  }
  const io = store.signal === undefined ? {} : { signal: store.signal }
  await forEachParallel(store.revisions(repository), read, { limit: READS_AT_ONCE, ...io })
  return { manifests, broken }
}

/**
 * Of a repository's manifests those that somebody can still reach: by a tag, as a child of one that is
 * reached, or as what says something about one that is reached (its subject).
 */
export function reachable(
  manifests: ReadonlyMap<Digest, StoredManifest>,
  tags: Iterable<Digest>,
): ReadonlySet<Digest> {
  const about = new Map<Digest, Digest[]>()
  for (const { digest, manifest } of manifests.values()) {
    const subject = manifest.subject?.digest
    if (subject !== undefined) about.set(subject, [...(about.get(subject) ?? []), digest])
  }
  const found = new Set<Digest>()
  const waiting = [...tags]
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    if (found.has(digest)) continue
    found.add(digest)
    const children = manifests.get(digest)?.manifest.manifests ?? []
    waiting.push(...children.map(child => child.digest), ...(about.get(digest) ?? []))
  }
  return found
}

/** A blob that a manifest needs, or is. */
export interface Need {
  readonly digest: Digest
  /** 0 where the manifest does not tell. */
  readonly size: Bytes
}

/** The blobs that a manifest needs, itself included. */
export function needs({ digest, size, manifest }: StoredManifest): readonly Need[] {
  return [
    { digest, size },
    ...references(manifest).map(each => ({ digest: each.digest, size: each.size ?? 0 })),
  ]
}
