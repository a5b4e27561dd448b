/**
 * From parameters and options to the parts of a driver: connections, calls, names, limits. Asks the
 * service nothing.
 */
import type { LookupFunction } from 'node:net'
import type { Observer } from '../../util/observer.js'
import { silentLogger, type Logger } from '../../util/log.js'
import type { Clock } from '../../util/clock.js'
import { GiB, type Milliseconds } from '../../util/units.js'
import { chooseCredentials } from '../credentials/choose.js'
import type { CredentialsProvider } from '../credentials/credentials.js'
import { addressing, MIN_CHUNK_SIZE, type BosParameters } from '../parameters.js'
import { BosApi } from './api.js'
import { readAuthorities } from './authorities.js'
import type { BosConfig, BosContext } from './context.js'
import { KeyMap } from './key.js'
import { chooseProxy, type Environment } from './proxy.js'
import { retryPolicy, type RetryOptions } from './retry.js'
import { observeTransport } from './observe-transport.js'
import { warnOfRetries } from './retry-warnings.js'
import { createTransport, type Transport, type TransportOptions } from './transport.js'

/** Names the driver in errors. */
export const NAME = 'bos'

export interface BosDriverOptions extends Partial<BosConfig> {
  /** Credentials that may change while the driver runs; default those of the parameters. */
  credentials?: CredentialsProvider
  /** Most connections; default the parameter `maxthreads`. */
  connections?: number
  /** Certificates to trust instead of the built-in ones, PEM; default those of `cafile`. */
  ca?: string | Buffer
  /** Resolves host names; default the system's way. */
  lookup?: LookupFunction
  /** Where HTTPS_PROXY and NO_PROXY are looked up; default the process's. */
  environment?: Environment
  /** Default the parameter `connecttimeout`. */
  connectTimeout?: Milliseconds
  /** Longest time for one attempt, the time for its bytes excepted; default `requesttimeout`. */
  requestTimeout?: Milliseconds
  /** The bucket is hierarchical; `openBosDriver` finds out by itself. Default false. */
  hierarchical?: boolean
  /** Longest silence within an answer's body; default 30 s. */
  idleTimeout?: Milliseconds
  /** Default the parameters `maxretries` and `totaltimeout`. */
  retry?: RetryOptions
  clock?: Clock
  log?: Logger
  /** Told of every attempt, and of every one that another follows. */
  observer?: Pick<Observer, 'request' | 'retry'>
}

/** Parts that one writer has under way. */
const PARTS_IN_FLIGHT = 4
/** The most that BOS gives. */
const LIST_PAGE_SIZE = 1000

/** Makes what a driver works with. @throws DriverError if the file of authorities cannot be used */
export function assemble(
  parameters: BosParameters,
  options: BosDriverOptions,
): { context: BosContext; transport: Transport } {
  const { retry, log = silentLogger, clock } = options
  const { bucket, chunksize, rootdirectory } = parameters
  const time = clock === undefined ? {} : { clock }
  const { observer } = options
  const bare = createTransport(transportOptions(parameters, { ...options, log }))
  const transport = observeTransport(bare, request => {
    log.debug({ ...request, duration: Math.round(request.duration) }, 'request')
    observer?.request?.(request)
  })
  const warn = warnOfRetries(log, clock)
  const api = new BosApi({
    transport,
    bucket,
    policy: retryPolicy({
      attempts: parameters.maxretries + 1,
      deadline: parameters.totaltimeout,
      ...time,
      ...retry,
    }),
    onRetry: (request, failed) => {
      observer?.retry?.()
      warn(request, failed)
    },
    writeHeaders: writeHeaders(parameters),
  })
  const context: BosContext = {
    name: NAME,
    api,
    keys: new KeyMap(rootdirectory),
    limits: {
      partSize: chunksize,
      minPartSize: MIN_CHUNK_SIZE,
      maxPartSize: 5 * GiB,
      maxParts: 10_000,
    },
    config: {
      partsInFlight: options.partsInFlight ?? PARTS_IN_FLIGHT,
      copiesInFlight: options.copiesInFlight ?? parameters.multipartcopymaxconcurrency,
      copyThreshold: options.copyThreshold ?? parameters.multipartcopythresholdsize,
      copyPartSize: options.copyPartSize ?? parameters.multipartcopychunksize,
      rename: options.rename ?? true,
      listPageSize: options.listPageSize ?? LIST_PAGE_SIZE,
      storageClass: options.storageClass ?? parameters.storageclass,
    },
    log,
    abandoned: new Set(),
    learned: {
      noRename: false,
      hierarchical: options.hierarchical ?? false,
      completeKeepsMetadata: undefined,
    },
  }
  return { context, transport }
}

function transportOptions(
  parameters: BosParameters,
  options: BosDriverOptions & { log: Logger },
): TransportOptions {
  const { log, clock, environment = process.env } = options
  const { bucket, cafile, skipverify, useragent, redirectendpoint, maxthreads } = parameters
  const place = addressing(parameters)
  const ca = options.ca ?? (cafile === undefined ? undefined : readAuthorities(cafile))
  const proxy = chooseProxy(place.origin, { proxy: parameters.proxy, environment })
  if (skipverify) {
    log.warn({ endpoint: parameters.endpoint }, 'skipverify: certificates are not verified')
  }
  const time = clock === undefined ? {} : { clock }
  return {
    connections: maxthreads,
    connectTimeout: parameters.connecttimeout,
    requestTimeout: parameters.requesttimeout,
    ...options,
    ...place,
    bucket,
    credentials: options.credentials ?? chooseCredentials(parameters, { ...time, log }),
    skipVerify: skipverify,
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(useragent === undefined ? {} : { userAgent: useragent }),
    ...(redirectendpoint === undefined
      ? {}
      : { redirect: addressing({ ...parameters, endpoint: redirectendpoint }) }),
  }
}

/** Headers of everything that makes an object. */
function writeHeaders({ encrypt, objectacl }: BosParameters): Record<string, string> {
  return {
    ...(encrypt === undefined ? {} : { 'x-bce-server-side-encryption': encrypt }),
    ...(objectacl === undefined ? {} : { 'x-bce-acl': objectacl }),
  }
}
