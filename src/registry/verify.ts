/**
 * Reads every blob and compares its content with its digest.
 *
 * Prefixes of digests are worked on in parallel, the blobs of one prefix one after the other in
 * ascending order; so "all up to this digest" for each prefix is all that must be remembered to go on
 * later, and memory does not grow with the number of blobs.
 */
import { PathNotFoundError } from '../driver/errors.js'
import { forEachParallel } from '../util/semaphore.js'
import type { Bytes } from '../util/units.js'
import { isInShard, prefixName, WHOLE } from './layout.js'
import type { BlobPrefix, Digest, RegistryStore, Shard } from './layout.js'
import type { StateFile } from './state.js'

/** One blob that is not what it should be. */
export interface Damage {
  readonly digest: Digest
  readonly problem: 'corrupt' | 'missing' | 'unreadable'
  readonly detail: string
}

export interface VerifyState {
  /** Prefixes that are done. */
  readonly done: readonly string[]
  /** For prefixes under way, the last digest that is done. */
  readonly reached: Readonly<Record<string, Digest>>
  readonly blobs: number
  readonly bytes: Bytes
  readonly damaged: readonly Damage[]
}

export interface VerifyOptions {
  shard?: Shard
  /** Blobs read at once; default 8. */
  concurrency?: number
  state?: StateFile<VerifyState>
  onBytes?: (bytes: Bytes) => void
  onBlob?: (digest: Digest) => void
  onDamage?: (damage: Damage) => void
}

/** Blobs of one prefix between two saved states. */
const SAVE_EVERY = 50

class Run {
  readonly done: Set<string>
  readonly reached: Map<string, Digest>
  readonly damaged: Damage[]
  blobs: number
  bytes: Bytes

  constructor(from: VerifyState | undefined) {
    this.done = new Set(from?.done)
    this.reached = new Map(Object.entries(from?.reached ?? {}))
    this.damaged = [...(from?.damaged ?? [])]
    this.blobs = from?.blobs ?? 0
    this.bytes = from?.bytes ?? 0
  }

  snapshot(): VerifyState {
    return {
      done: [...this.done],
      reached: Object.fromEntries(this.reached),
      blobs: this.blobs,
      bytes: this.bytes,
      damaged: this.damaged,
    }
  }
}

/** @returns what was found, by this run and by those that it goes on from */
export async function verify(
  store: RegistryStore,
  options: VerifyOptions = {},
): Promise<VerifyState> {
  const { shard = WHOLE, concurrency = 8, state } = options
  const run = new Run(await state?.load())
  const prefixes = (await store.prefixes()).filter(
    prefix => isInShard(prefix, shard) && !run.done.has(prefixName(prefix)),
  )
  const work = (prefix: BlobPrefix): Promise<void> => verifyPrefix(store, prefix, { run, options })
  const io = store.signal === undefined ? {} : { signal: store.signal }
  try {
    await forEachParallel(prefixes, work, { limit: concurrency, ...io })
  } finally {
    await state?.save(run.snapshot())
  }
  return run.snapshot()
}

async function verifyPrefix(
  store: RegistryStore,
  prefix: BlobPrefix,
  { run, options }: { run: Run; options: VerifyOptions },
): Promise<void> {
  const name = prefixName(prefix)
  let last = run.reached.get(name)
  let inOrder = true
  let sinceSaved = 0
  for await (const digest of store.blobs(prefix, last)) {
    const damage = await check(store, digest, bytes => {
      run.bytes += bytes
      options.onBytes?.(bytes)
    })
    run.blobs += 1
    if (damage !== undefined) {
      run.damaged.push(damage)
      options.onDamage?.(damage)
    }
    options.onBlob?.(digest)
    // A store that lists in another order cannot be gone on with in the middle of a prefix.
    inOrder &&= last === undefined || digest > last
    last = digest
    if (inOrder) run.reached.set(name, digest)
    sinceSaved += 1
    if (sinceSaved < SAVE_EVERY) continue
    await options.state?.save(run.snapshot())
    sinceSaved = 0
  }
  run.done.add(name)
  run.reached.delete(name)
}

async function check(
  store: RegistryStore,
  digest: Digest,
  onBytes: (bytes: Bytes) => void,
): Promise<Damage | undefined> {
  try {
    const found = await store.hash(digest, onBytes)
    if (found.digest === digest) return undefined
    return {
      digest,
      problem: 'corrupt',
      detail: `its ${found.size} bytes have the digest ${found.digest}`,
    }
  } catch (error) {
    store.signal?.throwIfAborted()
    if (error instanceof PathNotFoundError) {
      return { digest, problem: 'missing', detail: 'the folder of the blob has no data' }
    }
    return {
      digest,
      problem: 'unreadable',
      detail: error instanceof Error ? error.message : String(error),
    }
  }
}
