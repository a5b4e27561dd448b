/** Receives a request body with flow control, a time limit on pauses, and an end when the client goes. */
import type { IncomingMessage } from 'node:http'
import type { Milliseconds } from '../util/units.js'
import { ConnectionLost, ServiceError } from './errors.js'

/** Uses a piece of a body. A promise keeps the next piece back until it has resolved. */
export type TakeChunk = (chunk: Buffer) => Promise<void> | undefined

/**
 * @param timeout longest pause between two pieces
 * @throws ServiceError RequestTimeout
 * @throws ConnectionLost when the body ends before its announced length, or has done so before
 */
export async function receiveChunks(
  request: IncomingMessage,
  timeout: Milliseconds,
  take: TakeChunk,
): Promise<void> {
  // An ended request tells nobody again.
  if (request.closed && !request.complete) throw brokenOff()
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      settle(new ServiceError('RequestTimeout', { headers: { Connection: 'close' } }))
    }, timeout)
    const settle = (error?: Error) => {
      clearTimeout(timer)
      request.removeAllListeners('data')
      if (error === undefined) {
        resolve()
        return
      }
      request.resume()
      reject(error)
    }
    request.on('data', (chunk: Buffer) => {
      timer.refresh()
      const busy = take(chunk)
      if (busy === undefined) return
      request.pause()
      busy.then(() => {
        timer.refresh()
        request.resume()
      }, settle)
    })
    request.once('end', () => settle())
    request.once('error', () => settle(brokenOff()))
    request.once('close', () => {
      if (!request.complete) settle(brokenOff())
    })
  })
}

function brokenOff(): ConnectionLost {
  return new ConnectionLost('the request body broke off')
}
