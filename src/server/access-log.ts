/** What the server tells about each request once it is over. */
import type { Bytes, Milliseconds } from '../util/units.js'
import type { Operation } from './router.js'

/** One request; can be written as a line of JSON. Holds no secret: no headers, no query. */
export interface AccessLogEntry {
  /** ISO 8601, when the request came in. */
  readonly time: string
  readonly method: string
  readonly operation: Operation
  /** Empty where there is none. */
  readonly bucket: string
  /** Empty where there is none. */
  readonly key: string
  /** 0 when the connection broke before a status was sent. */
  readonly status: number
  /** Body bytes received. */
  readonly bytesIn: Bytes
  /** Body bytes sent. */
  readonly bytesOut: Bytes
  readonly milliseconds: Milliseconds
  readonly requestId: string
  /** The error code answered, if one was. */
  readonly code?: string
}
