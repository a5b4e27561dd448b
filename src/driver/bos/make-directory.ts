/**
 * Makes directories: a marker object in a flat bucket, a real directory in a hierarchical one.
 *
 * A PUT replaces a marker, metadata and all. A real directory that exists refuses it, so its metadata is
 * replaced by a copy onto itself. No document of BOS says that directories can be copied so; where the
 * service refuses it, that is an UnsupportedError, and the directory stays as it was.
 */
import type { MakeDirectoryOptions } from '../driver.js'
import { UnsupportedError } from '../errors.js'
import { MARKER_TYPE } from './api.js'
import { forPath, type BosContext } from './context.js'
import { BosError, meaningOf } from './error.js'

/** @see StorageDriver.makeDirectory */
export async function makeDirectory(
  context: BosContext,
  path: string,
  options: MakeDirectoryOptions,
): Promise<void> {
  const { api, keys, learned } = context
  const key = keys.directory(path)
  await forPath(context, path, async () => {
    if (!learned.hierarchical) {
      await api.put(key, Buffer.alloc(0), { ...options, contentType: MARKER_TYPE })
      return
    }
    const isNew = await api.makeDirectory(key, options)
    if (!isNew && options.metadata !== undefined) await replaceMetadata(context, path, options)
  })
}

async function replaceMetadata(
  { api, keys, name: driver }: BosContext,
  path: string,
  { metadata, signal }: MakeDirectoryOptions,
): Promise<void> {
  const key = keys.directory(path)
  const replace = { contentType: MARKER_TYPE, metadata }
  try {
    await api.copy({ key, size: 0 }, key, { signal, replace })
  } catch (error) {
    if (!isRefused(error)) throw error
    const message = `${path}: the service does not replace the metadata of a directory`
    const { code: serviceCode, requestId } = error
    throw new UnsupportedError(message, {
      driver,
      path,
      cause: error,
      ...(serviceCode === undefined ? {} : { serviceCode }),
      ...(requestId === undefined ? {} : { requestId }),
    })
  }
}

/** The request itself is not wanted: which code says so is not documented. */
function isRefused(error: unknown): error is BosError {
  if (!(error instanceof BosError) || error.kind !== 'response') return false
  const meaning = meaningOf(error)
  return meaning === 'unsupported' || (meaning === 'failed' && error.status === 400)
}
