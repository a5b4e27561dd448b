/**
 * What a writer leaves when it is closed without commit, and how the next one finds it.
 *
 * The parts stay in the unfinished multipart upload. The bytes behind them, too few for a part, go to
 * a sidecar object named after the upload id, whose metadata records the offset they continue at.
 * The sidecar is always written, even when it is empty: an upload with a sidecar is a closed writer's;
 * one without belongs to somebody who is still at work, and is never touched.
 *
 * A sidecar whose offset is not the sum of the parts is stale (a later writer added parts and died):
 * its bytes are already in those parts, and it is ignored.
 */
import type { Bytes } from '../../util/units.js'
import type { DriverOptions, Part } from '../driver.js'
import { BosError } from './error.js'
import type { BosContext } from './context.js'
import type { ListedPart, ListedUpload } from './documents.js'
import type { HttpBody } from './exchange.js'

const OFFSET_HEADER = 'x-bce-meta-offset'

/** Everything that a closed writer had. */
export interface LeftWriter {
  readonly uploadId: string
  readonly parts: readonly Part[]
  readonly tail: Buffer
}

/** The uploads of exactly this path, the latest first. */
async function uploadsAt(
  { api, keys }: BosContext,
  path: string,
  options: DriverOptions,
): Promise<ListedUpload[]> {
  const key = keys.file(path)
  const uploads: ListedUpload[] = []
  for await (const upload of api.uploads.listUploads(key, options)) {
    if (upload.key === key) uploads.push(upload)
  }
  return uploads.sort((a, b) => b.initiated.getTime() - a.initiated.getTime())
}

/** The parts from the first on, up to a gap. */
export function contiguous(parts: readonly ListedPart[]): ListedPart[] {
  const gap = parts.findIndex((part, index) => part.partNumber !== index + 1)
  return gap === -1 ? [...parts] : parts.slice(0, gap)
}

/** What the latest closed writer left at a path. */
export async function findLeft(
  context: BosContext,
  path: string,
  options: DriverOptions,
): Promise<LeftWriter | undefined> {
  for (const upload of await uploadsAt(context, path, options)) {
    const left = await readLeft(context, upload, options)
    if (left !== undefined) return left
  }
  return undefined
}

async function readLeft(
  { api, keys }: BosContext,
  { key, uploadId }: ListedUpload,
  options: DriverOptions,
): Promise<LeftWriter | undefined> {
  try {
    const { headers, body } = await api.getWhole(keys.tail(uploadId), options)
    const parts = contiguous(await api.uploads.listParts({ key, uploadId }, options))
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    const isCurrent = Number(headers[OFFSET_HEADER]) === size
    return { uploadId, parts, tail: isCurrent ? body : Buffer.alloc(0) }
  } catch (error) {
    // No sidecar, or the upload went while it was looked at.
    if (error instanceof BosError && error.status === 404) return undefined
    throw error
  }
}

/** Writes the sidecar of an upload. */
export async function leave(
  { api, keys }: BosContext,
  left: { readonly uploadId: string; readonly offset: Bytes; readonly tail: HttpBody },
  options: DriverOptions,
): Promise<void> {
  const metadata = { offset: String(left.offset) }
  await api.put(keys.tail(left.uploadId), left.tail, { ...options, metadata })
}

/** Drops an upload, its parts and its sidecar. */
export async function dropUpload(
  { api, keys }: BosContext,
  upload: { readonly key: string; readonly uploadId: string },
  options: DriverOptions,
): Promise<void> {
  await api.uploads.abort(upload, options)
  await api.deletions.object(keys.tail(upload.uploadId), options)
}

/** Drops what closed writers left at a path, and nothing of those still at work. */
export async function dropLeft(
  context: BosContext,
  path: string,
  options: DriverOptions,
): Promise<void> {
  const { api, keys } = context
  for (const upload of await uploadsAt(context, path, options)) {
    const sidecar = await api.find(keys.tail(upload.uploadId), options)
    if (sidecar !== undefined) await dropUpload(context, upload, options)
  }
}
