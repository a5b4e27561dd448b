/**
 * How much each repository needs, and how much of that it needs alone. A blob counts for every
 * repository of which a manifest refers to it; it is stored once.
 *
 * Memory: one line per repository, and the references of one prefix of digests.
 *
 * No state and no shares of several hosts: what a repository needs alone is known only to who has read
 * the manifests of all, and reading those is the whole work. No blob is listed or read.
 */
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes } from '../util/units.js'
import type { Digest, RegistryStore } from './layout.js'
import { needs, readManifests } from './references.js'
import type { BrokenManifest } from './references.js'
import type { Spill } from './spill.js'

export interface RepositoryUsage {
  readonly repository: string
  readonly manifests: number
  readonly blobs: number
  /** What it alone refers to. */
  readonly unique: Bytes
  /** What others refer to as well. */
  readonly shared: Bytes
}

export interface Usage {
  readonly repositories: readonly RepositoryUsage[]
  /** Of all blobs that are referred to, each once. */
  readonly blobs: number
  readonly bytes: Bytes
  readonly broken: readonly BrokenManifest[]
}

export interface UsageOptions {
  /** Empty at first. */
  spill: Spill
  /** Repositories at once; default 4. */
  concurrency?: number
  onRepository?: (name: string) => void
}

export async function usage(store: RegistryStore, options: UsageOptions): Promise<Usage> {
  const { spill, concurrency = 4 } = options
  const rows: Row[] = []
  const broken: BrokenManifest[] = []
  const read = async (repository: string): Promise<void> => {
    const row = { repository, manifests: 0, blobs: 0, unique: 0, shared: 0 }
    const owner = rows.push(row) - 1
    const found = await readManifests(store, repository)
    row.manifests = found.manifests.size
    broken.push(...found.broken)
    for (const manifest of found.manifests.values()) {
      for (const { digest, size } of needs(manifest)) await spill.add({ digest, owner, size })
    }
    options.onRepository?.(repository)
  }
  const io = store.signal === undefined ? {} : { signal: store.signal }
  await forEachParallel(store.repositories(), read, { limit: concurrency, ...io })
  let blobs = 0
  let bytes = 0
  for (const prefix of await spill.prefixes()) {
    store.signal?.throwIfAborted()
    for (const { owners, size } of byDigest(await spill.read(prefix)).values()) {
      blobs += 1
      bytes += size
      for (const owner of owners) count(rows[owner], size, owners.size > 1)
    }
  }
  const repositories = rows.sort((a, b) => (a.repository < b.repository ? -1 : 1))
  return { repositories, blobs, bytes, broken }
}

type Row = { -readonly [K in keyof RepositoryUsage]: RepositoryUsage[K] }

function count(row: Row | undefined, size: Bytes, isShared: boolean): void {
  if (row === undefined) return
  row.blobs += 1
  if (isShared) row.shared += size
  else row.unique += size
}

function byDigest(
  records: readonly { digest: Digest; owner: number; size: Bytes }[],
): Map<Digest, { owners: Set<number>; size: Bytes }> {
  const found = new Map<Digest, { owners: Set<number>; size: Bytes }>()
  for (const { digest, owner, size } of records) {
    const entry = found.get(digest) ?? { owners: new Set<number>(), size: 0 }
    entry.owners.add(owner)
    entry.size = Math.max(entry.size, size)
    found.set(digest, entry)
  }
  return found
}
