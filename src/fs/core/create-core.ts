/** Puts together what the parts of the file system core share. */
import { randomUUID } from 'node:crypto'
import { BlockCache, type FetchBlocks } from '../../cache/block-cache.js'
import { MetadataCache } from '../../cache/metadata-cache.js'
import { Prefetcher } from '../../cache/prefetch.js'
import { Staging } from '../../cache/staging.js'
import type { StagingOptions } from '../../cache/staging.js'
import { WriteBack } from '../../cache/write-back.js'
import type { Metadata, StorageDriver } from '../../driver/driver.js'
import { IntegrityError } from '../../driver/errors.js'
import { systemLater, type Later } from '../../util/clock.js'
import { ErrnoError } from '../../util/errno.js'
import { SharedLock } from '../../util/lock.js'
import type { Logger } from '../../util/log.js'
import { silentLogger } from '../../util/log.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type { Notifier } from '../operations.js'
import { AttributeStore } from './attribute-store.js'
import { S_IFREG } from './attributes.js'
import type { Core, CoreConfig } from './core.js'
import { afterDeletes, Deletes } from './deletes.js'
import { InodeTable } from './inode-table.js'
import { noLedger } from './ledger.js'
import type { Ledger, Move } from './ledger.js'
import { Markers } from './markers.js'
import { NameChanges } from './name-changes.js'
import { typeIn } from './stored-attributes.js'
import { Subtrees } from './subtrees.js'
import { UncertainUploads } from './uncertain-uploads.js'
import { UnfinishedMoves } from './unfinished-moves.js'
import { UnlinkedFiles } from './unlinked-files.js'

export interface FileSystemOptions {
  driver: StorageDriver
  /** What blocks of files are read from; default the driver. */
  blocksFrom?: Pick<StorageDriver, 'readInto'>
  config: CoreConfig
  /** Memory for cached blocks. */
  cacheMemory: Bytes
  /** Memory for bytes that the store does not have yet. */
  writeMemory: Bytes
  /** Local disk for such bytes that do not fit into memory; default none. */
  staging?: StagingOptions
  /** How long a write may wait for memory; default 2 minutes. */
  writePatience?: Milliseconds
  /** Unix time; default Date.now. */
  clock?: () => Milliseconds
  /** A clock that never goes back; default performance.now. */
  monotonic?: () => Milliseconds
  /** Default setTimeout. */
  later?: Later
  /** What this mount leaves in the store if it is killed; default nowhere. */
  ledger?: Ledger
  /** What mounts before have not finished; default nothing. */
  unfinishedMoves?: readonly Move[]
  /** Different for every mount there ever is; default random. */
  mountId?: string
  log?: Logger
}

const NO_NOTIFIER: Notifier = {
  invalidateInode: () => undefined,
  invalidateEntry: () => undefined,
}

/** Does no I/O. */
export function createCore(options: FileSystemOptions): Core {
  const { config, staging, log = silentLogger, ledger = noLedger } = options
  const { mountId = randomUUID() } = options
  const { clock = Date.now, monotonic = () => performance.now(), later = systemLater } = options
  const deletes = new Deletes({ driver: options.driver, now: monotonic, later, log })
  const driver = afterDeletes(options.driver, deletes)
  const reader = options.blocksFrom ?? driver
  const tree = new SharedLock()
  const inodes = new InodeTable(clock)
  const metadata = new MetadataCache({ ttl: config.metadataTtl, now: monotonic })
  const blocks = new BlockCache({ capacity: options.cacheMemory, fetch: fetchFrom(reader) })
  const core: Core = {
    get attributes() {
      return attributes
    },
    config,
    driver,
    deletes,
    inodes,
    tree,
    clock,
    later,
    log,
    metadata,
    subtrees: new Subtrees({ driver, metadata, log }),
    blocks,
    readsAskStore: options.blocksFrom === undefined,
    prefetcher: new Prefetcher({ blocks, window: config.readAhead, now: monotonic }),
    writeBack: new WriteBack({
      limits: driver.partLimits,
      memory: options.writeMemory,
      patience: options.writePatience ?? 120_000,
      ...(staging !== undefined && staging.capacity > 0 && { staging: new Staging(staging) }),
      guard: work => tree.shared(work),
      log,
    }),
    markers: new Markers({
      driver,
      inodes,
      metadata,
      tree,
      delay: config.markerDelay,
      later,
      log,
      saving: directory => attributes.saving(directory),
    }),
    changes: new NameChanges({ inodes, notifier: () => core.notifier, log }),
    uncertain: new UncertainUploads({ driver, ledger, clock, log }),
    unlinked: new UnlinkedFiles({ driver, ledger, mountId, log }),
    ledger,
    moves: new UnfinishedMoves({ driver, ledger, log, moves: options.unfinishedMoves ?? [] }),
    notifier: NO_NOTIFIER,
    directMappings: false,
  }
  const attributes = new AttributeStore(core)
  return core
}

function fetchFrom(driver: Pick<StorageDriver, 'readInto'>): FetchBlocks {
  return async ({ path, etag, size }, offset, targets, options) => {
    const wanted = targets.reduce((sum, { length }) => sum + length, 0)
    // A listing may have shown it as a file.
    const accept = (metadata: Metadata): void => {
      if (typeIn(metadata) !== S_IFREG) throw new ErrnoError('ESTALE', `${path} is no regular file`)
    }
    const reading = { offset, etag, accept, ...options }
    const { bytesRead } = await driver.readInto(path, targets, reading)
    if (bytesRead === wanted) return
    throw new IntegrityError(`${bytesRead} of ${wanted} bytes at ${offset} of ${size}`, { path })
  }
}
