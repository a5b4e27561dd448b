/**
 * Blobs that nothing refers to. Only finds them; deleting is the registry's own business, which knows
 * what is being pushed.
 *
 * First all manifests are read and what they need is written down, by prefix of digests; then each prefix is
 * listed and compared. Both halves can be gone on with after an interruption, and memory holds one prefix.
 */
import { readFile, appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes, Milliseconds } from '../util/units.js'
import { isInShard, prefixName, prefixOf, WHOLE } from './layout.js'
import type { BlobPrefix, Digest, RegistryStore, Shard } from './layout.js'
import { needs, reachable, readManifests } from './references.js'
import type { BrokenManifest } from './references.js'
import { Spill } from './spill.js'
import type { StateFile } from './state.js'

export interface Unreferenced {
  readonly digest: Digest
  readonly size: Bytes
  readonly modTime?: Date
}

export interface GarbageState {
  /** All repositories were read. */
  readonly marked: boolean
  readonly done: readonly string[]
  readonly blobs: number
  readonly unreferenced: number
  readonly bytes: Bytes
  readonly repositories: number
  /** Manifests that were read, and those of them that no tag leads to. */
  readonly manifests: number
  readonly untagged: number
  readonly broken: readonly BrokenManifest[]
}

export interface GarbageOptions {
  /** A folder for what must be remembered; must exist. */
  folder: string
  state: StateFile<GarbageState>
  shard?: Shard
  /** Manifests that no tag leads to are garbage too, and what only they need. */
  untagged?: boolean
  /** Blobs that are younger are not garbage: their manifest may be on its way. */
  olderThan?: Milliseconds
  now?: () => Milliseconds
  concurrency?: number
  onRepository?: (name: string) => void
  onBlobs?: (count: number) => void
  /** Called as they are found; waited for. */
  onUnreferenced?: (blob: Unreferenced) => Promise<void>
}

const FRESH: GarbageState = {
  marked: false,
  done: [],
  blobs: 0,
  unreferenced: 0,
  bytes: 0,
  repositories: 0,
  manifests: 0,
  untagged: 0,
  broken: [],
}

export async function findGarbage(
  store: RegistryStore,
  options: GarbageOptions,
): Promise<GarbageState> {
  const spill = new Spill(join(options.folder, 'needed'))
  let state = (await options.state.load()) ?? FRESH
  if (!state.marked) {
    state = await mark(store, spill, { options, state })
    await options.state.save(state)
  }
  return await sweep(store, spill, { options, state })
}

interface Half {
  readonly options: GarbageOptions
  readonly state: GarbageState
}

/** Writes down what all manifests need. A repository that was read is noted, so that it is not read again. */
async function mark(
  store: RegistryStore,
  spill: Spill,
  { options, state }: Half,
): Promise<GarbageState> {
  const { shard = WHOLE, untagged = false, concurrency = 4 } = options
  const notes = join(options.folder, 'repositories')
  const known = await readNotes(notes)
  const broken = [...state.broken]
  const read = async (repository: string): Promise<void> => {
    if (known.has(repository)) return
    const { manifests, broken: found } = await readManifests(store, repository)
    const reached = reachable(manifests, (await store.tags(repository)).values())
    let left = 0
    for (const manifest of manifests.values()) {
      if (!reached.has(manifest.digest)) left += 1
      if (untagged && !reached.has(manifest.digest)) continue
      for (const { digest, size } of needs(manifest)) {
        if (isInShard(prefixOf(digest), shard)) await spill.add({ digest, owner: 0, size })
      }
    }
    await spill.flush()
    const note: Note = { repository, manifests: manifests.size, untagged: left, broken: found }
    await appendFile(notes, `\n${JSON.stringify(note)}\n`, { mode: 0o600 })
    known.set(repository, note)
    options.onRepository?.(repository)
  }
  const io = store.signal === undefined ? {} : { signal: store.signal }
  await forEachParallel(store.repositories(), read, { limit: concurrency, ...io })
  const all = [...known.values()]
  broken.push(...all.flatMap(note => note.broken))
  return {
    ...state,
    marked: true,
    broken,
    repositories: all.length,
    manifests: all.reduce((sum, note) => sum + note.manifests, 0),
    untagged: all.reduce((sum, note) => sum + note.untagged, 0),
  }
}

interface Note {
  readonly repository: string
  readonly manifests: number
  readonly untagged: number
  readonly broken: readonly BrokenManifest[]
}

async function readNotes(file: string): Promise<Map<string, Note>> {
  const notes = new Map<string, Note>()
  const text = await readFile(file, 'utf8').catch(() => '')
  for (const line of text.split('\n')) {
    if (!line.startsWith('{') || !line.endsWith('}')) continue
    const note = JSON.parse(line) as Note
    notes.set(note.repository, note)
  }
  return notes
}

async function sweep(
  store: RegistryStore,
  spill: Spill,
  { options, state: from }: Half,
): Promise<GarbageState> {
  const { shard = WHOLE, concurrency = 4 } = options
  const done = new Set(from.done)
  let state = from
  const prefixes = (await store.prefixes()).filter(
    prefix => isInShard(prefix, shard) && !done.has(prefixName(prefix)),
  )
  const work = async (prefix: BlobPrefix): Promise<void> => {
    const found = await sweepPrefix(store, prefix, { spill, options })
    done.add(prefixName(prefix))
    state = {
      ...state,
      done: [...done],
      blobs: state.blobs + found.blobs,
      unreferenced: state.unreferenced + found.unreferenced,
      bytes: state.bytes + found.bytes,
    }
    await options.state.save(state)
  }
  const io = store.signal === undefined ? {} : { signal: store.signal }
  await forEachParallel(prefixes, work, { limit: concurrency, ...io })
  return state
}

async function sweepPrefix(
  store: RegistryStore,
  prefix: BlobPrefix,
  { spill, options }: { spill: Spill; options: GarbageOptions },
): Promise<Pick<GarbageState, 'blobs' | 'unreferenced' | 'bytes'>> {
  const { olderThan = 0, now = Date.now } = options
  const needed = new Set((await spill.read(prefix)).map(({ digest }) => digest))
  const found = { blobs: 0, unreferenced: 0, bytes: 0 }
  for await (const digest of store.blobs(prefix)) {
    found.blobs += 1
    options.onBlobs?.(1)
    if (needed.has(digest)) continue
    const info = await store.blob(digest)
    if (info === undefined) continue
    const { size, modTime } = info
    if (modTime !== undefined && now() - modTime.getTime() < olderThan) continue
    found.unreferenced += 1
    found.bytes += size
    await options.onUnreferenced?.({ digest, size, ...(modTime === undefined ? {} : { modTime }) })
  }
  return found
}
