/** A file system core over a driver, small enough for tests to reach every limit. */
import type { StorageDriver } from '../../src/driver/driver.js'
import { FileSystem } from '../../src/fs/core/filesystem.js'
import type { CoreConfig } from '../../src/fs/core/core.js'
import type { StagingOptions } from '../../src/cache/staging.js'
import type { Ledger, Move } from '../../src/fs/core/ledger.js'
import type { Later } from '../../src/util/clock.js'
import { silentLogger } from '../../src/util/log.js'
import type { Logger } from '../../src/util/log.js'
import { MiB } from '../../src/util/units.js'

export interface CoreOptions {
  config?: Partial<CoreConfig>
  cacheMemory?: number
  writeMemory?: number
  staging?: StagingOptions
  monotonic?: () => number
  later?: Later
  log?: Logger
  ledger?: Ledger
  unfinishedMoves?: readonly Move[]
}

export function createCore(driver: StorageDriver, options: CoreOptions = {}): FileSystem {
  const { config, monotonic, later, ledger, staging, unfinishedMoves, log = silentLogger } = options
  return new FileSystem({
    driver,
    config: {
      attributes: 'derived',
      uid: 0,
      gid: 0,
      fileMode: 0o644,
      directoryMode: 0o755,
      exclusiveCreate: 'close',
      metadataTtl: 60_000,
      readAhead: 4 * MiB,
      markerDelay: 20,
      ...config,
    },
    cacheMemory: options.cacheMemory ?? 16 * MiB,
    writeMemory: options.writeMemory ?? 16 * MiB,
    writePatience: 5000,
    log,
    ...(ledger === undefined ? {} : { ledger }),
    ...(staging === undefined ? {} : { staging }),
    ...(unfinishedMoves === undefined ? {} : { unfinishedMoves }),
    ...(monotonic === undefined ? {} : { monotonic }),
    ...(later === undefined ? {} : { later }),
  })
}
