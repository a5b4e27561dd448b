/**
 * The way of one request: route, authenticate, apply faults, hand to its handler, answer what the handler
 * throws, log.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import type { AccessLogEntry } from './access-log.js'
import { isOpenToAll } from './acl.js'
import { authenticate, isAnonymous, type Credential } from './auth.js'
import type { Context, Handler } from './context.js'
import { ConnectionLost, ServiceError } from './errors.js'
import { Exchange } from './exchange.js'
import type { Faults } from './faults.js'
import { appendObject } from './handlers/append.js'
import * as bucket from './handlers/bucket.js'
import * as multipart from './handlers/multipart.js'
import * as object from './handlers/object.js'
import * as subresource from './handlers/subresource.js'
import { chooseOperation, parseTarget, type Operation } from './router.js'

const HANDLERS: Readonly<Record<Operation, Handler>> = {
  ListBuckets: bucket.listBuckets,
  PutBucket: bucket.putBucket,
  HeadBucket: bucket.headBucket,
  DeleteBucket: bucket.deleteBucket,
  GetBucketLocation: bucket.getBucketLocation,
  ListObjects: bucket.listObjects,
  ListMultipartUploads: bucket.listMultipartUploads,
  DeleteMultipleObjects: bucket.deleteMultipleObjects,
  PutObject: object.putObject,
  GetObject: object.getObject,
  HeadObject: object.getObject,
  DeleteObject: object.deleteObject,
  CopyObject: object.copyObject,
  RenameObject: object.renameObject,
  InitiateMultipartUpload: multipart.initiateMultipartUpload,
  UploadPart: multipart.uploadPart,
  UploadPartCopy: multipart.uploadPartCopy,
  CompleteMultipartUpload: multipart.completeMultipartUpload,
  AbortMultipartUpload: multipart.abortMultipartUpload,
  ListParts: multipart.listParts,
  AppendObject: appendObject,
  PutSymlink: subresource.putSymlink,
  GetSymlink: subresource.getSymlink,
  GetBucketAcl: subresource.getBucketAcl,
  PutBucketAcl: subresource.putBucketAcl,
  GetObjectAcl: subresource.getObjectAcl,
  PutObjectAcl: subresource.putObjectAcl,
  DeleteObjectAcl: subresource.deleteObjectAcl,
  GetObjectTagging: subresource.getObjectTagging,
  PutObjectTagging: subresource.putObjectTagging,
  DeleteObjectTagging: subresource.deleteObjectTagging,
  Unsupported: refuse,
  Unknown: refuse,
}

async function refuse(): Promise<void> {
  throw new ServiceError('NotImplemented')
}

/** Unknown buckets that the log names; a client may try any number. */
const MAX_HINTS = 100

export interface DispatcherOptions {
  readonly context: Context
  readonly faults: Faults
  readonly credentials: ReadonlyMap<string, Credential>
  readonly now: () => number
  readonly log: Logger
  readonly accessLog: (entry: AccessLogEntry) => void
  readonly bodyTimeout: Milliseconds
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()
  readonly #hinted = new Set<string>()

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /** Takes one request; never throws. */
  accept(request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void {
    const { now, bodyTimeout } = this.#options
    const exchange = new Exchange({ request, response, now, bodyTimeout, expectsContinue })
    if (this.#stopping.signal.aborted) response.shouldKeepAlive = false
    const running = this.#serve(exchange).finally(() => {
      this.#running.delete(running)
    })
    this.#running.add(running)
  }

  /** Resolves when no request is running; delays of faults end at once. */
  async drain(): Promise<void> {
    this.#stopping.abort()
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }

  async #serve(exchange: Exchange): Promise<void> {
    try {
      await this.#perform(exchange)
    } catch (error) {
      this.#answer(exchange, error)
    } finally {
      this.#options.accessLog(exchange.entry())
    }
  }

  async #perform(exchange: Exchange): Promise<void> {
    const { context, credentials, now, faults } = this.#options
    const { method, headers } = exchange
    exchange.target = parseTarget({
      url: exchange.request.url ?? '/',
      host: headers.host,
      isBucket: name => context.store.bucket(name) !== undefined,
    })
    const { target } = exchange
    const hasHeader = (name: string) => exchange.header(name) !== undefined
    exchange.operation = chooseOperation({ method, target, hasHeader })
    const { rawPath, query } = target
    const signed = { method, rawPath, query: query.pairs, headers }
    if (!isAnonymous(signed) || !this.#isOpen(exchange)) {
      const { hostSigned } = context.switches
      authenticate(signed, { credentials, now: now(), hostSigned })
    }
    if (target.pathStyle && !context.switches.pathStyle) {
      throw new ServiceError('InvalidURI', { message: 'Path style is not accepted here.' })
    }
    const { operation } = exchange
    const acting = faults.take({ operation, bucket: target.bucket, key: target.key })
    const sleep = async (time: Milliseconds) => {
      const signal = AbortSignal.any([this.#stopping.signal, exchange.lost])
      await delay(time, undefined, { signal }).catch(() => undefined)
    }
    if (await exchange.injectFaults(acting, sleep)) await HANDLERS[operation](exchange, context)
  }

  /** Whether a request needs no signature. */
  #isOpen({ operation, target: { bucket: name, key } }: Exchange): boolean {
    const { store } = this.#options.context
    const own = key === '' ? undefined : store.object({ bucket: name, key })?.acl
    return isOpenToAll(operation, own ?? store.bucket(name)?.acl)
  }

  #answer(exchange: Exchange, error: unknown): void {
    const { operation, requestId } = exchange
    const { bucket: name, key } = exchange.target
    if (error instanceof ConnectionLost) {
      exchange.abandon()
      return
    }
    if (exchange.hasStarted) {
      this.#options.log.error(
        { error, operation, requestId, bucket: name, key },
        'response cut off',
      )
      exchange.destroy()
      return
    }
    if (error instanceof ServiceError) {
      if (error.code === 'NoSuchBucket') this.#hintAtBuckets(name)
      exchange.sendError(error)
      return
    }
    this.#options.log.error({ error, operation, requestId, bucket: name, key }, 'request failed')
    exchange.sendError(new ServiceError('InternalError'))
  }

  /** Tells once of each unknown bucket: a wrong name or Host is the first thing to go wrong. */
  #hintAtBuckets(name: string): void {
    if (this.#hinted.has(name) || this.#hinted.size >= MAX_HINTS) return
    this.#hinted.add(name)
    const buckets = this.#options.context.store.buckets().map(bucket => bucket.name)
    this.#options.log.warn(
      { bucket: name, buckets },
      `a request names the bucket ${name}, which is not here: make it with PutBucket or --bucket`,
    )
  }
}
