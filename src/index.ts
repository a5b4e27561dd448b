/**
 * The public interface: the storage driver, the embedded server, and mounting. docs/API.md has examples.
 * What is not exported here may change at any time.
 */
export { openMount } from './mount.js'
export type { MountRequest, RunningMount } from './mount.js'
export { ConfigError, OPTIONS, resolveConfig } from './config.js'
export type { MountConfig, Option, Sources } from './config.js'

export { createBosDriver, openBosDriver } from './driver/bos/driver.js'
export type { BosDriverOptions } from './driver/bos/driver.js'
export { createMemoryDriver } from './driver/memory/driver.js'
export type { MemoryDriverOptions } from './driver/memory/driver.js'
export { ParameterError, parseBosParameters } from './driver/parameters.js'
export type { BosParameters } from './driver/parameters.js'
export type * from './driver/driver.js'
export * from './driver/errors.js'

export { startBosServer } from './server/server.js'
export type { BosServer, BosServerOptions } from './server/server.js'

export type { Observer, OperationKind } from './util/observer.js'
export type { Logger } from './util/log.js'
export { ErrnoError } from './util/errno.js'
