/** What the parts of the BOS driver share. */
import type { Logger } from '../../util/log.js'
import type { Bytes } from '../../util/units.js'
import type { DriverOptions, PartLimits } from '../driver.js'
import type { BosApi } from './api.js'
import { toDriverError } from './error.js'
import type { KeyMap } from './key.js'
import { listPages } from './list.js'
import type { ListPage } from './documents.js'

export interface BosConfig {
  /** Parts that one writer has under way. */
  readonly partsInFlight: number
  /** Objects or parts that are copied at once for one move. */
  readonly copiesInFlight: number
  /** Larger objects are copied in parts, in parallel. */
  readonly copyThreshold: Bytes
  readonly copyPartSize: Bytes
  /** Use the service's rename for files where it has one; default true. */
  readonly rename: boolean
  /** Keys per page of a listing. */
  readonly listPageSize: number
  /** Storage class of new files; a copy keeps its source's. Undefined is the bucket's own. */
  readonly storageClass: string | undefined
}

/** An upload whose caller gave up while it was begun. */
export interface AbandonedUpload {
  /** Fulfilled once it is dropped, or will not be. */
  readonly dropped: Promise<void>
  /** Ends the waiting for its beginning. */
  readonly stop: AbortController
}

export interface BosContext {
  readonly name: string
  readonly api: BosApi
  readonly keys: KeyMap
  readonly limits: PartLimits
  readonly config: BosConfig
  readonly log: Logger
  /** Dropped by the time the driver is closed. */
  readonly abandoned: Set<AbandonedUpload>
  /** What has been found out about the service. */
  readonly learned: {
    /** It has no rename. */
    noRename: boolean
    /** The bucket is hierarchical: directories are real, and are renamed and deleted whole. */
    hierarchical: boolean
    /** Metadata sent with the completion of an upload is kept; undefined: not tried yet. */
    completeKeepsMetadata: boolean | undefined
  }
}

/** Runs a piece of work on one path; its failures become driver errors that name the path. */
export async function forPath<T>(
  context: Pick<BosContext, 'name'>,
  path: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toDriverError(error, context.name, path)
  }
}

/** All pages of keys below a prefix, in order. */
export function pagesBelow(
  { api, config }: BosContext,
  prefix: string,
  options: DriverOptions & {
    delimiter?: '/'
    startAfter?: string | undefined
    metadata?: boolean | undefined
  } = {},
): AsyncGenerator<ListPage> {
  const { signal, delimiter, startAfter, metadata } = options
  const query = {
    prefix,
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(startAfter === undefined ? {} : { marker: prefix + startAfter }),
    ...(metadata === true ? { metadata } : {}),
  }
  return listPages(page => api.list({ ...page, maxKeys: config.listPageSize }, { signal }), query)
}
