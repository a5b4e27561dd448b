/**
 * What a handler of an opcode is. It decodes its request and calls the method (`call`, the only part
 * that may take time), and gives the answer either as a record (`encode`) or as bytes of any size
 * (`slices`). `undo` reverses what a method has done for the kernel's sake - a lookup counted, a handle
 * opened - when the kernel turns out not to want the answer any more.
 */
import type { ErrnoName } from '../../util/errno.js'
import type { ByteReader, ByteWriter } from '../../util/cursor.js'
import type { Fh, MaybePromise, Operations } from '../operations.js'
import * as decode from './decode.js'
import type { Request } from './request.js'

export interface Handler<Result> {
  call(operations: Operations, request: Request, reader: ByteReader): MaybePromise<Result>
  /** Writes the record of the answer; absent where there is none. */
  encode?(writer: ByteWriter, result: Result): void
  /** The answer as bytes that are sent from where they are. Instead of `encode`. */
  slices?(result: Result): readonly Uint8Array[]
  /** The errno that stands for this result, if one does. */
  error?(result: Result): ErrnoName | undefined
  undo?(operations: Operations, request: Request, result: Result): MaybePromise<void>
  /** The request's bytes are needed until the result is there. */
  readonly keepsBuffer?: boolean
}

export type AnyHandler = Handler<unknown>

/** A handler whose result has a type, as one of the table. */
export function handler<Result>(entry: Handler<Result>): AnyHandler {
  // Each handler is handed only what its own `call` returned.
  return entry as AnyHandler
}

/** A handler that answers with nothing but success. */
export function done(call: Handler<void>['call']): AnyHandler {
  return handler<void>({ call })
}

/** `done` for what names nothing but a handle. */
export function onHandle(
  call: (operations: Operations, request: Request, fh: Fh) => MaybePromise<void>,
): AnyHandler {
  return done((operations, request, reader) => call(operations, request, decode.decodeFh(reader)))
}
