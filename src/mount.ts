/**
 * The composition root of a mount: driver, caches, file system and binding put together, and taken
 * apart in the right order.
 *
 * Order of the end, whoever begins it: the kernel's session ends; what is dirty is flushed; what
 * the journal holds is sent; the ledger and the disk cache close; the driver's connections close;
 * the embedded server, if any, closes. Each step waits for the one before.
 */
import { DiskCache } from './cache/disk-cache.js'
import { readThroughDisk } from './cache/disk-tier.js'
import type { StorageDriver } from './driver/driver.js'
import { openBosDriver } from './driver/bos/driver.js'
import { parseBosParameters } from './driver/parameters.js'
import { sourceOf, storeName } from './driver/store-name.js'
import type { Binding, Mount } from './fs/binding.js'
import { FileSystem } from './fs/core/filesystem.js'
import type { MountConfig } from './config.js'
import { openEmbedded } from './embedded.js'
import type { Embedded } from './embedded.js'
import type { JournaledDriver } from './journal/driver.js'
import { JournalError } from './journal/errors.js'
import { openJournal, refuseLeftovers } from './journal/open.js'
import { journalFolder } from './journal/place.js'
import { openLedger } from './ledger/recovery.js'
import type { OpenedLedger } from './ledger/recovery.js'
import type { LedgerFile } from './ledger/ledger-file.js'
import { observeDriver, observeOperations } from './metrics/observe.js'
import type { Logger } from './util/log.js'
import type { Observer } from './util/observer.js'
import type { Milliseconds } from './util/units.js'

export interface MountRequest {
  config: MountConfig
  mountpoint: string
  /** Directory of the embedded server's data, to run it inside this process. */
  embedded?: string
  /** Told of every request and every call of the driver; default nobody, at no cost. */
  observer?: Observer
  /** Where this mount notes what it leaves in the bucket if it is killed; default nowhere. */
  ledgerDirectory?: string
  /** Where journals lie, unless the configuration says so. */
  journalsDirectory?: string
  log: Logger
  /** Ends mounting as long as nothing is mounted; afterwards `unmount` does. */
  signal?: AbortSignal
}

export interface RunningMount {
  /** `bos://bucket/root`, as /proc/mounts shows it. */
  readonly source: string
  readonly mountpoint: string
  /** Settles when all is over; rejects with what could not be brought to BOS. */
  readonly closed: Promise<void>
  /** What is in memory at this moment. */
  counts(): Readonly<Record<string, number>>
  /** Resolves when all that was written is in BOS, also what is safe in the journal. @throws ErrnoError */
  sync(signal: AbortSignal): Promise<void>
  /** Forgets what is believed of a path and all below it: what other hosts have changed is seen then. */
  invalidate(path: string): void
  /** Asks the store for something. @throws Error if it does not answer, or no more can be written */
  checkStore(signal: AbortSignal): Promise<void>
  /** @throws ErrnoError EBUSY while files are open, unless `lazy` */
  unmount(options?: { lazy?: boolean }): Promise<void>
}

/** A directory made with mkdir is in BOS, marker and all, this long afterwards at the latest. */
const MARKER_DELAY: Milliseconds = 1000

/**
 * Mounts, and resolves once the mount answers.
 *
 * @throws ParameterError, DriverError or Error whose message says what to do; when it rejects,
 *   nothing is mounted
 */
export async function openMount(request: MountRequest): Promise<RunningMount> {
  const { config, mountpoint, log, signal } = request
  const binding = await loadBinding(config.binding)
  const embedded =
    request.embedded === undefined
      ? undefined
      : await openEmbedded({ directory: request.embedded, bos: config.bos, log })
  let driver: StorageDriver | undefined
  let disk: DiskCache | undefined
  try {
    const parameters = parseBosParameters({ ...config.bos, ...embedded?.parameters })
    const { observer } = request
    const bos = await openBosDriver(parameters, {
      log,
      ...(observer === undefined ? {} : { observer }),
      ...(signal === undefined ? {} : { signal }),
    })
    driver = observer === undefined ? bos : observeDriver(bos, observer)
    const source = sourceOf(parameters)
    const store = storeName(parameters, request.embedded)
    const journal = await openJournalOf(driver, store, request)
    driver = journal ?? driver
    const opened = await openLedger({
      directory: request.ledgerDirectory,
      store,
      driver,
      log,
      ...(signal === undefined ? {} : { signal }),
    })
    disk = await openDisk(config, log)
    signal?.throwIfAborted()
    const fileSystem = createFileSystem({ driver, config, log, opened, disk, store })
    const operations = observer === undefined ? fileSystem : observeOperations(fileSystem, observer)
    const mount = await binding.mount(operations, mountpoint, {
      source,
      readOnly: config.readOnly,
      allowOther: config.allowOther,
      mountOptions: config.kernelOptions,
      log,
    })
    const ledger = opened?.ledger
    return running({ source, mount, driver, embedded, ledger, journal, disk, fileSystem })
  } catch (error) {
    await disk?.close()
    await driver?.close()
    await embedded?.close()
    throw error
  }
}

function createFileSystem({
  driver,
  config,
  log,
  opened,
  disk,
  store,
}: {
  readonly driver: StorageDriver
  readonly config: MountConfig
  readonly log: Logger
  readonly opened: OpenedLedger | undefined
  readonly disk: DiskCache | undefined
  /** What tells this bucket from others. */
  readonly store: string
}): FileSystem {
  const { attributes, uid, gid, fileMode, directoryMode } = config
  const { exclusiveCreate, metadataTtl, readAhead } = config
  return new FileSystem({
    driver,
    config: {
      attributes,
      uid,
      gid,
      fileMode,
      directoryMode,
      exclusiveCreate,
      metadataTtl,
      readAhead,
      markerDelay: MARKER_DELAY,
    },
    cacheMemory: config.cacheMemory,
    writeMemory: config.writeMemory,
    staging: { directory: config.stagingDirectory, capacity: config.stagingSize },
    log,
    ...opened,
    ...(disk === undefined ? {} : { blocksFrom: readThroughDisk(driver, disk, store) }),
  })
}

/** @throws Error that says what to do */
async function openDisk(
  { cacheDirectory, cacheSize }: MountConfig,
  log: Logger,
): Promise<DiskCache | undefined> {
  if (cacheDirectory === undefined) return undefined
  return await DiskCache.open({ directory: cacheDirectory, capacity: cacheSize, log })
}

async function loadBinding(name: MountConfig['binding']): Promise<Binding> {
  if (name === 'fuse-native') {
    const { createNativeBinding } = await import('./fs/native/binding.js')
    return createNativeBinding()
  }
  const { createFuseBinding } = await import('./fs/fuse/binding.js')
  return createFuseBinding()
}

/** undefined for a mount without a journal. @throws JournalError that says what to do */
async function openJournalOf(
  driver: StorageDriver,
  store: string,
  { config, journalsDirectory, log }: MountRequest,
): Promise<JournaledDriver | undefined> {
  const { durability, readOnly, exclusiveCreate, journalSize: size, journalDelay: delay } = config
  const isNeeded = durability === 'journal' && !readOnly
  const folder =
    config.journalDirectory ??
    (journalsDirectory === undefined ? undefined : journalFolder(journalsDirectory, store))
  if (folder === undefined) {
    if (!isNeeded) return undefined
    throw new JournalError('durability=journal needs a folder for the journal: give --journal-dir')
  }
  if (!isNeeded) {
    await refuseLeftovers({ folder, store }, readOnly, log)
    return undefined
  }
  const exclusive = exclusiveCreate === 'open' ? 'store' : 'journal'
  return await openJournal(driver, { folder, store, size, delay, exclusive, log })
}

interface Running {
  readonly source: string
  readonly mount: Mount
  readonly driver: StorageDriver
  readonly embedded: Embedded | undefined
  readonly ledger: LedgerFile | undefined
  readonly journal: JournaledDriver | undefined
  readonly disk: DiskCache | undefined
  readonly fileSystem: FileSystem
}

function running({ source, mount, fileSystem, ...resources }: Running): RunningMount {
  const { driver, journal } = resources
  const closed = closeAfter(mount.closed, resources)
  // Whoever waits sees the failure; that nobody waits yet is not one more.
  closed.catch(() => undefined)
  return {
    source,
    mountpoint: mount.mountpoint,
    closed,
    counts: () => ({ ...fileSystem.gauges, ...journal?.gauges }),
    sync: async signal => {
      await fileSystem.syncfs({ pid: process.pid, uid: 0, gid: 0, signal })
      await journal?.drain(signal)
    },
    invalidate: path => fileSystem.invalidate(path),
    checkStore: async signal => {
      if (journal?.isFull === true) throw new Error('the journal is full, and writers wait')
      for await (const _page of driver.entries('/', { signal })) return
    },
    unmount: async options => {
      await mount.unmount(options)
      await closed
    },
  }
}

async function closeAfter(
  session: Promise<void>,
  { driver, embedded, ledger, journal, disk }: Omit<Running, 'source' | 'mount' | 'fileSystem'>,
): Promise<void> {
  const failures: unknown[] = []
  const note = (error: unknown): void => void failures.push(error)
  await session.catch(note)
  await journal?.drain().catch(note)
  try {
    await ledger?.close()
    await disk?.close()
    await driver.close()
    await embedded?.close()
  } catch (error) {
    note(error)
  }
  if (failures.length === 0) return
  if (failures.length === 1) throw failures[0]
  throw new AggregateError(failures, failures.map(message).join('; '))
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
