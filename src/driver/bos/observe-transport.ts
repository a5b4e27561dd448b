/** A transport that tells of every attempt of a request, to count it and to log it. */
import type { StoreRequest } from '../../util/observer.js'
import { BosError } from './error.js'
import type { HttpHead } from './exchange.js'
import { bodyLength } from './http.js'
import type { BosRequest, Transport } from './transport.js'

export type RequestWatcher = (request: StoreRequest) => void

export function observeTransport(transport: Transport, watcher: RequestWatcher): Transport {
  const timed = async <T extends HttpHead>(
    request: BosRequest,
    work: () => Promise<T>,
  ): Promise<T> => {
    const began = performance.now()
    const tell = (status: string, received: number, requestId: string | undefined): void => {
      const { key, body } = request
      watcher({
        operation: operationOf(request),
        ...(key === undefined ? {} : { key }),
        status,
        duration: performance.now() - began,
        sent: bodyLength(body),
        received,
        ...(requestId === undefined ? {} : { requestId }),
      })
    }
    try {
      const response = await work()
      const length = request.method === 'HEAD' ? 0 : Number(response.headers['content-length'] ?? 0)
      tell(String(response.status), length, response.headers['x-bce-request-id'])
      return response
    } catch (error) {
      tell(statusOf(error), 0, error instanceof BosError ? error.requestId : undefined)
      throw error
    }
  }
  return {
    request: (request, chooseSink) => timed(request, () => transport.request(request, chooseSink)),
    receive: (request, choose) => timed(request, () => transport.receive(request, choose)),
    stream: request => timed(request, () => transport.stream(request)),
    presign: (method, key, expires) => transport.presign(method, key, expires),
    close: () => transport.close(),
  }
}

/** Few values, whatever happens: they are labels of metrics. */
function statusOf(error: unknown): string {
  if (!(error instanceof BosError)) return 'aborted'
  return error.kind === 'response' ? String(error.status ?? 'response') : error.kind
}

/** What BOS calls the operation of a request. */
export function operationOf({ method, key, params = {}, headers = {} }: BosRequest): string {
  const has = (name: string): boolean => name in params
  if (key === undefined) {
    if (has('delete')) return 'DeleteMultipleObjects'
    if (has('uploads')) return 'ListMultipartUploads'
    return method === 'GET' ? 'ListObjects' : `${titled(method)}Bucket`
  }
  const isCopy = 'x-bce-copy-source' in headers
  if (has('uploads')) return 'InitiateMultipartUpload'
  if (has('partNumber')) return isCopy ? 'UploadPartCopy' : 'UploadPart'
  if (has('uploadId')) {
    if (method === 'POST') return 'CompleteMultipartUpload'
    return method === 'DELETE' ? 'AbortMultipartUpload' : 'ListParts'
  }
  if ('x-bce-rename-key' in headers) return 'RenameObject'
  if (isCopy) return 'CopyObject'
  return `${titled(method)}Object`
}

function titled(method: string): string {
  return method.charAt(0) + method.slice(1).toLowerCase()
}
