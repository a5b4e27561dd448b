/**
 * The embedded BOS server: local, persistent, authenticating. It speaks the part of BOS's HTTP interface
 * that a storage driver uses, and is written from the description of that interface alone.
 *
 * What is promised: what was answered with success survives the death of the process at any moment, and
 * nothing half done becomes visible. After a loss of power the index is whole, but the changes of the last
 * moments may be missing, and an object made in them may have content that the disk never got; with
 * `sync` every change is on the disk before it is answered.
 *
 * What it does not do: versions, encryption, life cycles, restoring from the archive and the other
 * sub-resources (501 NotImplemented), permissions of more than one account, TLS.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { silentLogger, type Logger } from '../util/log.js'
import { KiB, type Milliseconds } from '../util/units.js'
import type { AccessLogEntry } from './access-log.js'
import type { Credential } from './auth.js'
import type { Context } from './context.js'
import { openDataDirectory, ServerStartError, type DataDirectory } from './data-directory.js'
import { Dispatcher } from './dispatch.js'
import { Faults, type FaultRule } from './faults.js'
import { checkBucketName } from './names.js'
import { RunningMd5s } from './running-md5.js'
import { SliceReader } from './slice-reader.js'
import { DEFAULT_SWITCHES, type Switches } from './switches.js'

export { ServerStartError } from './data-directory.js'
export type { AccessLogEntry } from './access-log.js'

export interface BucketOptions {
  readonly name: string
  /** Directories are real, and are renamed and deleted as a whole. Default false. */
  readonly hierarchy?: boolean
}

export interface BosServerOptions {
  /** Made if missing, for its owner alone. One server at a time. */
  dataDirectory: string
  /** Default 127.0.0.1. */
  host?: string
  /** Default 0: any free port. */
  port?: number
  /** Made if missing; a name alone makes a flat bucket, or takes what is there. */
  buckets: readonly (string | BucketOptions)[]
  credentials: readonly Credential[]
  /** Default `bj`. */
  region?: string
  /** Told of each request when it is over. Must not throw. */
  accessLog?: (entry: AccessLogEntry) => void
  log?: Logger
  /** Milliseconds since the epoch. Default Date.now. */
  now?: () => number
  /** Rules in force from the start. */
  faults?: readonly FaultRule[]
  strict?: Partial<Switches>
  /** Bring every change to the disk before it is answered. Default false. */
  sync?: boolean
  /** How long a request body may pause. Default 60 s. */
  bodyTimeout?: Milliseconds
  /** How long `close` waits for running requests before it cuts them off. Default 10 s. */
  closeTimeout?: Milliseconds
}

export interface BosServer {
  /** `http://host:port`. */
  readonly url: string
  readonly port: number
  /** The faults in force; add and clear at any time. */
  readonly faults: Faults
  /**
   * Puts these credentials in the place of those before, for requests that come from now on.
   * @throws ServerStartError for one that cannot be used
   */
  setCredentials(credentials: readonly Credential[]): void
  /** Finishes running requests, then closes the data. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Idle connections are kept longer than common clients keep theirs, so that the client closes first. */
const KEEP_ALIVE: Milliseconds = 65_000
const HEADERS_TIMEOUT: Milliseconds = 60_000
/** Room for 32 KiB of user metadata. */
const MAX_HEADERS = 64 * KiB
const CLOSE_TIMEOUT: Milliseconds = 10_000
const BODY_TIMEOUT: Milliseconds = 60_000

/**
 * @throws ServerStartError when the directory, a bucket name, the credentials or the port cannot be used
 */
export async function startBosServer(options: BosServerOptions): Promise<BosServer> {
  checkOptions(options)
  const { log = silentLogger, now = Date.now, host = '127.0.0.1', sync = false } = options
  const data = await openDataDirectory({ path: options.dataDirectory, sync, now, log })
  try {
    await makeBuckets(options.buckets, data)
    return await listen(options, { data, host })
  } catch (error) {
    await data.close()
    throw error
  }
}

function checkOptions(options: BosServerOptions): void {
  for (const bucket of options.buckets) {
    try {
      checkBucketName(bucketOptions(bucket).name)
    } catch (cause) {
      throw new ServerStartError(cause instanceof Error ? cause.message : String(cause), { cause })
    }
  }
  checkCredentials(options.credentials)
}

function checkCredentials(credentials: readonly Credential[]): void {
  for (const { accessKeyId, secretAccessKey } of credentials) {
    if (!/^[^/\s]+$/.test(accessKeyId) || secretAccessKey === '') {
      throw new ServerStartError(
        'a credential needs an access key id without "/" or white space, and a secret',
      )
    }
  }
}

function bucketOptions(bucket: string | BucketOptions): BucketOptions {
  return typeof bucket === 'string' ? { name: bucket } : bucket
}

async function makeBuckets(
  buckets: BosServerOptions['buckets'],
  data: DataDirectory,
): Promise<void> {
  for (const bucket of buckets) {
    const { name, hierarchy } = bucketOptions(bucket)
    const existing = data.store.bucket(name)
    if (existing === undefined) {
      await data.store.createBucket(name, { hierarchy: hierarchy ?? false })
    } else if (hierarchy !== undefined && hierarchy !== (existing.hierarchy ?? false)) {
      throw new ServerStartError(
        `the bucket ${name} exists and is ${hierarchy ? 'flat' : 'hierarchical'}, ` +
          'which cannot be changed: delete it or choose another name',
      )
    }
  }
}

async function listen(
  options: BosServerOptions,
  parts: { readonly data: DataDirectory; readonly host: string },
): Promise<BosServer> {
  const { data, host } = parts
  const faults = new Faults(options.faults)
  const credentials = new Map<string, Credential>()
  const setCredentials = (list: readonly Credential[]) => {
    checkCredentials(list)
    credentials.clear()
    for (const entry of list) credentials.set(entry.accessKeyId, entry)
  }
  setCredentials(options.credentials)
  let url = ''
  const context: Context = {
    store: data.store,
    files: data.files,
    reader: new SliceReader(data.files),
    runningMd5s: new RunningMd5s(),
    switches: { ...DEFAULT_SWITCHES, ...options.strict },
    region: options.region ?? 'bj',
    owner: ownerOf(options.credentials),
    url: () => url,
  }
  const dispatcher = new Dispatcher({
    context,
    faults,
    credentials,
    now: options.now ?? Date.now,
    log: options.log ?? silentLogger,
    accessLog: options.accessLog ?? (() => undefined),
    bodyTimeout: options.bodyTimeout ?? BODY_TIMEOUT,
  })
  const server = createHttpServer(dispatcher)
  const port = await bind(server, host, options.port ?? 0)
  url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`
  let closing: Promise<void> | undefined
  const close = async () => {
    closing ??= shutDown({ server, dispatcher, data }, options.closeTimeout ?? CLOSE_TIMEOUT)
    await closing
  }
  return { url, port, faults, setCredentials, close, [Symbol.asyncDispose]: close }
}

function ownerOf(credentials: readonly Credential[]): { id: string; displayName: string } {
  const names = credentials.map(({ accessKeyId }) => accessKeyId).join('\n')
  return { id: createHash('md5').update(names).digest('hex'), displayName: 'bosmount' }
}

function createHttpServer(dispatcher: Dispatcher): Server {
  const server = createServer({
    keepAliveTimeout: KEEP_ALIVE,
    headersTimeout: HEADERS_TIMEOUT,
    // The dispatcher times bodies by their progress: a large one may take as long as it needs.
    requestTimeout: 0,
    maxHeaderSize: MAX_HEADERS,
  })
  const accept = (expectsContinue: boolean) => {
    return (request: IncomingMessage, response: ServerResponse) => {
      dispatcher.accept(request, response, expectsContinue)
    }
  }
  server.on('request', accept(false))
  server.on('checkContinue', accept(true))
  return server
}

async function bind(server: Server, host: string, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === 'EADDRINUSE' ? 'the port is in use' : cause.message
      reject(new ServerStartError(`cannot listen on ${host}:${port}: ${reason}`, { cause }))
    })
    server.listen(port, host, resolve)
  })
  return (server.address() as AddressInfo).port
}

async function shutDown(
  parts: {
    readonly server: Server
    readonly dispatcher: Dispatcher
    readonly data: DataDirectory
  },
  timeout: Milliseconds,
): Promise<void> {
  const { server, dispatcher, data } = parts
  const closed = new Promise<void>(resolve => {
    server.close(() => resolve())
  })
  const patience = new AbortController()
  await Promise.race([
    dispatcher.drain(),
    delay(timeout, undefined, { signal: patience.signal }).catch(() => undefined),
  ])
  patience.abort()
  server.closeAllConnections()
  await closed
  await dispatcher.drain()
  await data.close()
}
