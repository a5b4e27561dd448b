/**
 * The beginning of a multipart upload, and getting rid of what came of it without being wanted: the
 * upload of a caller that gave up before the answer, and those of attempts that were not answered.
 *
 * An upload can be dropped by its id alone, which only the answer tells. So the request goes on when its
 * caller has gone, and the driver's close waits for it.
 */
import { abortable } from '../../util/abort.js'
import type { Milliseconds } from '../../util/units.js'
import type { CallOptions } from './calls.js'
import type { AbandonedUpload, BosContext } from './context.js'
import type { UploadName } from './multipart.js'
import type { ObjectProperties } from './headers.js'

/** What the attempts to begin an upload may take, and what clocks may differ. */
const SAME_TIME: Milliseconds = 3 * 60_000
/** How long is looked for uploads without parts. */
const LOOK: Milliseconds = 10_000
/** What the driver's close gives to beginnings whose callers have gone. */
const CLOSE_WITHIN: Milliseconds = 3000

export interface BegunUpload {
  readonly uploadId: string
  /** When it was begun, if there may be uploads that were begun then without an answer. */
  readonly lostAt: Milliseconds | undefined
}

/** Begins an upload. If `signal` is aborted it rejects at once, and the upload is dropped once it is there. */
export async function beginUpload(
  context: BosContext,
  key: string,
  { signal, ...properties }: ObjectProperties & { readonly signal?: AbortSignal | undefined },
): Promise<BegunUpload> {
  signal?.throwIfAborted()
  const stop = new AbortController()
  const begun = begin(context, key, { ...properties, signal: stop.signal })
  try {
    return await abortable(begun, signal)
  } catch (error) {
    if (signal?.aborted === true) dropLater(context, { key, begun, stop })
    throw error
  }
}

async function begin(
  { api }: BosContext,
  key: string,
  properties: ObjectProperties & CallOptions,
): Promise<BegunUpload> {
  const now = Date.now()
  let lostAt: Milliseconds | undefined
  const uploadId = await api.uploads.initiate(key, properties, () => {
    lostAt = now
  })
  return { uploadId, lostAt }
}

interface Beginning {
  readonly key: string
  readonly begun: Promise<BegunUpload>
  readonly stop: AbortController
}

function dropLater(context: BosContext, { key, begun, stop }: Beginning): void {
  const { api, abandoned, log } = context
  const { signal } = stop
  const drop = async (): Promise<void> => {
    // Without an answer there is nothing that could be dropped.
    const upload = await begun.catch(() => undefined)
    if (upload === undefined) return
    const name = { key, uploadId: upload.uploadId }
    await api.uploads.abort(name, { signal })
    await dropUnanswered(context, name, upload.lostAt)
  }
  const dropped = drop()
    .catch((error: unknown) => log.warn({ key, error }, 'could not abort an upload'))
    .finally(() => abandoned.delete(upload))
  const upload: AbandonedUpload = { dropped, stop }
  abandoned.add(upload)
}

/** Waits until the uploads whose callers have gone are dropped, some seconds at most. */
export async function dropAbandoned({ abandoned, log }: BosContext): Promise<void> {
  if (abandoned.size === 0) return
  const all = Promise.all(Array.from(abandoned, ({ dropped }) => dropped))
  try {
    await abortable(all, AbortSignal.timeout(CLOSE_WITHIN))
  } catch {
    log.warn({ uploads: abandoned.size }, 'uploads without parts may be left')
    for (const { stop } of abandoned) stop.abort(new Error('the driver is closed'))
  }
}

/**
 * Drops what attempts to begin this upload have begun before, without an answer. Only once it has
 * ended: another host's upload that was begun in the same minutes has parts by then.
 */
export async function dropUnanswered(
  { api, log }: BosContext,
  { key, uploadId }: UploadName,
  lostAt: Milliseconds | undefined,
): Promise<void> {
  if (lostAt === undefined) return
  const signal = AbortSignal.timeout(LOOK)
  try {
    for await (const upload of api.uploads.listUploads(key, { signal })) {
      const isSameTime = Math.abs(upload.initiated.getTime() - lostAt) < SAME_TIME
      if (upload.key !== key || upload.uploadId === uploadId || !isSameTime) continue
      const name = { key, uploadId: upload.uploadId }
      if (await api.uploads.isEmpty(name, { signal })) await api.uploads.abort(name, { signal })
    }
  } catch (error) {
    log.warn({ key, error }, 'an upload without parts may be left')
  }
}
