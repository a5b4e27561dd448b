/**
 * Where a registry (docker/distribution and those that share its layout) keeps what:
 *
 *     docker/registry/v2/blobs/ALGORITHM/XX/HEX/data                       content, XX the first two digits
 *     docker/registry/v2/repositories/NAME/_manifests/revisions/ALGORITHM/HEX/link
 *     docker/registry/v2/repositories/NAME/_manifests/tags/TAG/current/link
 *
 * NAME may have slashes. A link holds a digest; a revision without its link was deleted.
 *
 * @see distribution's registry/storage/paths.go
 */
import { createHash } from 'node:crypto'
import type { FileInfo, StorageDriver } from '../driver/driver.js'
import { PathNotFoundError } from '../driver/errors.js'
import { baseName, childPath } from '../driver/path.js'
import { scan } from '../driver/scan.js'

/** `sha256:HEX` */
export type Digest = string

const V2 = 'docker/registry/v2'
/** Hexadecimal digits of the digests of each algorithm. */
const ALGORITHMS: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 }

export function isDigest(text: string): boolean {
  const [algorithm = '', hex = '', ...rest] = text.split(':')
  return rest.length === 0 && ALGORITHMS[algorithm] === hex.length && /^[\da-f]+$/.test(hex)
}

export interface RegistryOptions {
  /** The registry's rootdirectory within the driver; default `/`. */
  root?: string
  signal?: AbortSignal
}

/** A part of all blobs: those whose digests begin with these two digits. */
export interface BlobPrefix {
  readonly algorithm: string
  /** Two hexadecimal digits. */
  readonly digits: string
}

/** One registry's tree, read through a driver. Nothing is cached and nothing is written. */
export class RegistryStore {
  readonly driver: StorageDriver
  readonly signal: AbortSignal | undefined
  readonly #base: string

  constructor(driver: StorageDriver, options: RegistryOptions = {}) {
    const { root = '/', signal } = options
    this.driver = driver
    this.signal = signal
    this.#base = `${root === '/' ? '' : root}/${V2}`
  }

  get io(): { signal?: AbortSignal } {
    return this.signal === undefined ? {} : { signal: this.signal }
  }

  /** The folder of a blob. */
  blobFolder(digest: Digest): string {
    const [algorithm = '', hex = ''] = digest.split(':')
    return `${this.#base}/blobs/${algorithm}/${hex.slice(0, 2)}/${hex}`
  }

  blobPath(digest: Digest): string {
    return `${this.blobFolder(digest)}/data`
  }

  /** Whether there is a registry at all. */
  async exists(): Promise<boolean> {
    return (await this.#statOf(this.#base)) !== undefined
  }

  /** Names in no promised order. */
  async *repositories(): AsyncGenerator<string> {
    const root = `${this.#base}/repositories`
    const enter = ({ path }: FileInfo): boolean => !baseName(path).startsWith('_')
    for await (const page of scan(this.driver, root, { ...this.io, enter })) {
      for (const { path } of page) {
        if (baseName(path) !== '_manifests') continue
        yield path.slice(root.length + 1, -'/_manifests'.length)
      }
    }
  }

  /** Tags of a repository, with the digests that they stand for now. */
  async tags(repository: string): Promise<ReadonlyMap<string, Digest>> {
    const folder = `${this.#base}/repositories/${repository}/_manifests/tags`
    const tags = new Map<string, Digest>()
    for await (const { entries } of this.driver.entries(folder, this.io)) {
      for (const { path } of entries) {
        const digest = await this.#link(`${path}/current/link`)
        if (digest !== undefined) tags.set(baseName(path), digest)
      }
    }
    return new Map([...tags].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** Digests of the manifests that a repository has. */
  async *revisions(repository: string): AsyncGenerator<Digest> {
    const folder = `${this.#base}/repositories/${repository}/_manifests/revisions`
    for (const algorithm of Object.keys(ALGORITHMS)) {
      for await (const { entries } of this.driver.entries(childPath(folder, algorithm), this.io)) {
        for (const { path, isDir } of entries) {
          const digest = `${algorithm}:${baseName(path)}`
          if (!isDir || !isDigest(digest)) continue
          if ((await this.#link(`${path}/link`)) !== undefined) yield digest
        }
      }
    }
  }

  /** The small content of a blob, or undefined if there is none. */
  async content(digest: Digest): Promise<Buffer | undefined> {
    return await this.#read(this.blobPath(digest))
  }

  /** Size and time of a blob, or undefined. */
  async blob(digest: Digest): Promise<FileInfo | undefined> {
    return await this.#statOf(this.blobPath(digest), 'file')
  }

  /** All prefixes that have blobs. At most 512. */
  async prefixes(): Promise<BlobPrefix[]> {
    const found: BlobPrefix[] = []
    for (const algorithm of Object.keys(ALGORITHMS)) {
      const folder = `${this.#base}/blobs/${algorithm}`
      for await (const { entries } of this.driver.entries(folder, this.io)) {
        for (const { path } of entries) {
          const digits = baseName(path)
          if (/^[\da-f]{2}$/.test(digits)) found.push({ algorithm, digits })
        }
      }
    }
    return found.sort((a, b) => (prefixName(a) < prefixName(b) ? -1 : 1))
  }

  /**
   * Digests below one prefix, as they are listed: in ascending order as far as the store lists so. A
   * folder without content is among them.
   */
  async *blobs(prefix: BlobPrefix, startAfter?: Digest): AsyncGenerator<Digest> {
    const { algorithm, digits } = prefix
    const folder = `${this.#base}/blobs/${algorithm}/${digits}`
    const after = startAfter?.split(':')[1]
    const options = { ...this.io, ...(after === undefined ? {} : { startAfter: after }) }
    for await (const { entries } of this.driver.entries(folder, options)) {
      for (const { path, isDir } of entries) {
        const digest = `${algorithm}:${baseName(path)}`
        if (isDir && isDigest(digest)) yield digest
      }
    }
  }

  /** The digest of what is really there, and its length. @throws PathNotFoundError */
  async hash(
    digest: Digest,
    onBytes?: (bytes: number) => void,
  ): Promise<{ digest: Digest; size: number }> {
    const [algorithm = ''] = digest.split(':')
    const hash = createHash(algorithm)
    let size = 0
    const { stream } = await this.driver.reader(this.blobPath(digest), this.io)
    for await (const chunk of stream) {
      const bytes = chunk as Uint8Array
      hash.update(bytes)
      size += bytes.length
      onBytes?.(bytes.length)
    }
    return { digest: `${algorithm}:${hash.digest('hex')}`, size }
  }

  async #link(path: string): Promise<Digest | undefined> {
    const text = (await this.#read(path))?.toString('latin1').trim()
    return text !== undefined && isDigest(text) ? text : undefined
  }

  async #read(path: string): Promise<Buffer | undefined> {
    try {
      return await this.driver.getContent(path, this.io)
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }

  async #statOf(path: string, expect?: 'file'): Promise<FileInfo | undefined> {
    try {
      return await this.driver.stat(path, {
        ...this.io,
        ...(expect === undefined ? {} : { expect }),
      })
    } catch (error) {
      if (error instanceof PathNotFoundError) return undefined
      throw error
    }
  }
}

/** `sha256/ab` */
export function prefixName({ algorithm, digits }: BlobPrefix): string {
  return `${algorithm}/${digits}`
}

/** The prefix that a digest lies below. */
export function prefixOf(digest: Digest): BlobPrefix {
  const [algorithm = '', hex = ''] = digest.split(':')
  return { algorithm, digits: hex.slice(0, 2) }
}

/** One of several hosts that share a run: number `index` of `count`, from 1. */
export interface Shard {
  readonly index: number
  readonly count: number
}

export const WHOLE: Shard = { index: 1, count: 1 }

/** Whether a prefix is this host's: every prefix belongs to exactly one of `count`. */
export function isInShard({ digits }: BlobPrefix, { index, count }: Shard): boolean {
  return Number.parseInt(digits, 16) % count === index - 1
}
