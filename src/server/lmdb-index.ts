/**
 * The LMDB environment of the index: its tables and the keys in them, all binary.
 *
 * objects `bucket NUL key`; slices of objects that have more than one `manifest id, offset`; uploads
 * `bucket NUL key NUL upload id`; parts `upload id, part number`; counts `data id` with the number of
 * slices that refer to the data; small `data id` with the bytes of what is not worth a file. LMDB compares
 * keys byte by byte, which is the order that BOS lists in, and 63 + 1 + 1024 + 33 bytes are within its
 * limit of 1978.
 */
import { open, type Database, type RootDatabase } from 'lmdb'
import type { Bytes } from '../util/units.js'
import type { CursorEntry } from './list.js'
import type { Owner } from './owner.js'
import type {
  BucketRecord,
  ObjectAddress,
  ObjectRecord,
  PartRecord,
  Slice,
  UploadRecord,
} from './store.js'

export type Table<Value> = Database<Value, Buffer>

export interface Claim {
  /** The running owner that stands in the way. */
  readonly blockedBy?: Owner
  /** The last owner closed the index and left no file behind that nothing refers to. */
  readonly clean: boolean
}

const OWNER = Buffer.from('owner')
/** Holds the last owner if that closed the index but left files behind. */
const UNTIDY = Buffer.from('untidy')

export class LmdbIndex {
  readonly buckets: Table<BucketRecord>
  readonly objects: Table<ObjectRecord>
  readonly manifests: Table<Slice>
  readonly uploads: Table<UploadRecord>
  readonly parts: Table<PartRecord>
  readonly counts: Table<number>
  readonly small: Table<Uint8Array>
  readonly #meta: Table<Owner>
  readonly #root: RootDatabase<unknown, string>

  /** @param path a directory; made if missing */
  constructor(path: string) {
    this.#root = open<unknown, string>({ path, noSubdir: false, maxDbs: 12 })
    const table = <Value>(name: string, encoding: 'msgpack' | 'binary' = 'msgpack') =>
      this.#root.openDB<Value, Buffer>({ name, keyEncoding: 'binary', encoding })
    this.#meta = table('meta')
    this.buckets = table('buckets')
    this.objects = table('objects')
    this.manifests = table('manifests')
    this.uploads = table('uploads')
    this.parts = table('parts')
    this.counts = table('counts')
    this.small = table('small', 'binary')
  }

  /**
   * Runs one change on all tables. LMDB joins the changes of a turn into one commit, which an exception
   * does not undo: `body` must throw before it writes or not at all.
   */
  async change<Result>(body: () => Result): Promise<Result> {
    const outcome = await this.#root.transaction<{ value: Result } | { error: unknown }>(() => {
      try {
        return { value: body() }
      } catch (error) {
        return { error }
      }
    })
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /** Resolves when all changes so far are on the disk. */
  async flush(): Promise<void> {
    await this.#root.flushed
  }

  /**
   * Makes `owner` the process that owns the index, unless `isAlive` says of the owner on record that it
   * still runs. Atomic against other processes.
   */
  claim(owner: Owner, isAlive: (other: Owner) => boolean): Claim {
    return this.#root.transactionSync(() => {
      const other = this.#meta.get(OWNER)
      if (other !== undefined && isAlive(other)) return { blockedBy: other, clean: false }
      const clean = other === undefined && !this.#meta.doesExist(UNTIDY)
      void this.#meta.put(OWNER, owner)
      void this.#meta.remove(UNTIDY)
      return { clean }
    })
  }

  /** Gives up the ownership that `claim` took. @param tidy false when files may have been left behind */
  async release(tidy: boolean): Promise<void> {
    await this.change(() => {
      const owner = this.#meta.get(OWNER)
      if (!tidy && owner !== undefined) void this.#meta.put(UNTIDY, owner)
      void this.#meta.remove(OWNER)
    })
    await this.flush()
  }

  async close(): Promise<void> {
    await this.#root.close()
  }
}

/** Entries of one bucket from `from` on; the keys come without the bucket. */
export function* scanBucket<Value>(
  table: Table<Value>,
  bucket: string,
  from: Buffer,
): Iterable<CursorEntry<Value>> {
  const prefix = Buffer.from(`${bucket}\0`)
  const start = Buffer.concat([prefix, from])
  const end = Buffer.from(`${bucket}\x01`)
  for (const { key, value } of table.getRange({ start, end })) {
    yield { key: key.subarray(prefix.length), value }
  }
}

export function bucketKey(name: string): Buffer {
  return Buffer.from(name)
}

export function objectKey({ bucket, key }: ObjectAddress): Buffer {
  return Buffer.from(`${bucket}\0${key}`)
}

export function uploadKey(upload: ObjectAddress & { readonly uploadId: string }): Buffer {
  return Buffer.from(`${upload.bucket}\0${upload.key}\0${upload.uploadId}`)
}

export function partKey(uploadId: string, partNumber: number): Buffer {
  const key = Buffer.alloc(18)
  key.write(uploadId, 'hex')
  key.writeUInt16BE(partNumber, 16)
  return key
}

export function manifestKey(manifest: string, offset: Bytes): Buffer {
  const key = Buffer.alloc(24)
  key.write(manifest, 'hex')
  key.writeUIntBE(offset, 18, 6)
  return key
}

/** The offset in a key of the manifests table. */
export function manifestOffset(key: Buffer): Bytes {
  return key.readUIntBE(18, 6)
}

export function dataKey(id: string): Buffer {
  return Buffer.from(id, 'hex')
}
