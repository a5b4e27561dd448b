/** An embedded server and drivers on it, all gone at the end of the test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { BosApi } from '../../../src/driver/bos/api.js'
import { createBosDriver, type BosDriverOptions } from '../../../src/driver/bos/driver.js'
import { retryPolicy } from '../../../src/driver/bos/retry.js'
import { createTransport, type TransportOptions } from '../../../src/driver/bos/transport.js'
import type { BosCredentials } from '../../../src/driver/credentials/credentials.js'
import type { StorageDriver } from '../../../src/driver/driver.js'
import {
  addressing,
  parseBosParameters,
  type BosParameters,
} from '../../../src/driver/parameters.js'
import type { AccessLogEntry } from '../../../src/server/access-log.js'
import {
  startBosServer,
  type BosServer,
  type BosServerOptions,
} from '../../../src/server/server.js'
import { Secret } from '../../../src/util/secret.js'

export const BUCKET = 'driver-test'
const KEYS = { accessKeyId: 'driver-key', secretAccessKey: 'driver-secret' }
export const CREDENTIALS: BosCredentials = {
  accessKeyId: KEYS.accessKeyId,
  secretAccessKey: new Secret(KEYS.secretAccessKey),
}

export interface DriverHarness {
  readonly server: BosServer
  /** Requests the server has answered. */
  readonly log: AccessLogEntry[]
  readonly parameters: (changes?: Readonly<Record<string, unknown>>) => BosParameters
  /** A driver that retries fast. */
  readonly driver: (
    changes?: Readonly<Record<string, unknown>>,
    options?: BosDriverOptions,
  ) => Promise<StorageDriver>
  /** The calls underneath a driver, for any key. */
  readonly api: (options?: Partial<TransportOptions>) => BosApi
}

export async function startDriverHarness(
  t: Test,
  options: Partial<BosServerOptions> = {},
): Promise<DriverHarness> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'bos-driver-'))
  const log: AccessLogEntry[] = []
  const server = await startBosServer({
    dataDirectory,
    buckets: [BUCKET],
    credentials: [KEYS],
    accessLog: entry => log.push(entry),
    closeTimeout: 1000,
    ...options,
  })
  const opened: { close(): Promise<void> }[] = []
  t.teardown(async () => {
    for (const driver of opened) await driver.close()
    await server.close()
    rmSync(dataDirectory, { recursive: true, force: true })
  })
  const parameters = (changes: Readonly<Record<string, unknown>> = {}): BosParameters =>
    parseBosParameters({
      accesskeyid: KEYS.accessKeyId,
      accesskeysecret: KEYS.secretAccessKey,
      endpoint: server.url,
      bucket: BUCKET,
      chunksize: '5m',
      ...changes,
    })
  return {
    server,
    log,
    parameters,
    async driver(changes = {}, driverOptions = {}) {
      const driver = createBosDriver(parameters(changes), {
        retry: { baseDelay: 1, maxDelay: 5 },
        ...driverOptions,
      })
      opened.push(driver)
      return driver
    },
    api(transportOptions = {}) {
      const transport = createTransport({
        ...addressing(parameters()),
        bucket: BUCKET,
        credentials: () => CREDENTIALS,
        ...transportOptions,
      })
      const policy = retryPolicy({ baseDelay: 1, maxDelay: 5 })
      const api = new BosApi({ transport, bucket: BUCKET, policy })
      opened.push(api)
      return api
    },
  }
}
