/** Who is told of what happens, to count it. Whoever reports calls it once per event and must not wait. */
import type { Bytes, Milliseconds } from './units.js'

/** `fuse`: requests of the kernel; `store`: calls of the storage driver. */
export type OperationKind = 'fuse' | 'store'

/** One attempt of a request to the store, retries included. */
export interface StoreRequest {
  /** As the service calls it, e.g. `PutObject`. */
  readonly operation: string
  /** Of what; absent if it is about the bucket itself. */
  readonly key?: string
  /** The status of the answer, or in a word why there was none. */
  readonly status: string
  readonly duration: Milliseconds
  /** Content without headers. */
  readonly sent: Bytes
  readonly received: Bytes
  /** The service's own name for it, if it has answered. */
  readonly requestId?: string
}

export interface Observer {
  /** Something has ended. `duration` is how long its caller waited; `error` is its code, absent if it went well. */
  operation(kind: OperationKind, name: string, duration: Milliseconds, error?: string): void
  /** Content that was moved: `read` towards programs, `write` from them; of the store likewise. */
  bytes(kind: OperationKind, direction: 'read' | 'write', amount: Bytes): void
  /** Told only to those who want to know. */
  readonly request?: (request: StoreRequest) => void
  /** A request is sent once more: another attempt follows one that has failed. */
  readonly retry?: () => void
}
