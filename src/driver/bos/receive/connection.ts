/**
 * One HTTP/1.1 connection of ours: a socket that writes what it receives to where it belongs.
 *
 * Model: node reads from the socket into memory that it asks for before each read (`onread`). While a
 * head comes, and between answers, that is a scratch buffer; while a body comes, it is the landing's
 * own memory. So only what arrives together with a head is ever copied. One request at a time.
 *
 * Nothing needs to be held back: no byte is asked for that there is no memory for.
 *
 * INVARIANT: memory of a landing is handed to the socket only while its request is under way. Settling
 * either leaves the scratch buffer as the next one to read into, or destroys the socket first. Reads
 * of a socket begin and end within one turn of the event loop, so a destroyed one writes nothing more.
 *
 * It does not know when to give up (receiver.ts does), and nothing of BOS.
 */
import { Buffer } from 'node:buffer'
import type { OnReadOpts, Socket } from 'node:net'
import { KiB, type Bytes, type Milliseconds } from '../../../util/units.js'
import { BosError } from '../error.js'
import { connectionError, type HttpHead } from '../exchange.js'
import type { HttpResponse } from '../http.js'
import { Touchdown, type ChooseLanding } from './landing.js'
import { headEnd, parseHead } from './response-head.js'

/** A head that is longer is not one of BOS. */
const MAX_HEAD: Bytes = 16 * KiB
/** A document that is longer is left to others to read. */
const MAX_DOCUMENT: Bytes = 64 * KiB
const EMPTY = Buffer.alloc(0)

/** Memory for requests grows by so much. */
const OUTGOING_STEP: Bytes = 8 * KiB

/** `odd` is an answer that is not understood here: another client is to ask again. */
export type Outcome = HttpResponse | 'odd'

/** Makes a socket that reads as it is told and tells when it is `connect`ed. */
export type Connect = (onread: OnReadOpts) => { readonly socket: Socket; readonly ready: string }

export interface Call {
  /** The request as it goes over the wire; a text has one byte per character. */
  readonly bytes: string | Uint8Array
  /** Where the body of a good answer goes; absent: into the answer, as an error document does. */
  readonly choose?: ChooseLanding | undefined
  /** Something has come: the connection is ready, a head, a part of a body. */
  progress(what: 'connected' | 'head' | 'body', bodyLength: Bytes): void
  settle(outcome: Outcome): void
  fail(error: unknown): void
}

export class Connection {
  readonly #socket: Socket
  readonly #scratch = Buffer.allocUnsafeSlow(MAX_HEAD)
  /** What small requests are put together in: made for each, it costs more than the copy. */
  #outgoing = EMPTY
  /** Bytes of a head in the scratch buffer. */
  #filled: Bytes = 0
  #call: Call | undefined
  #head: HttpHead | undefined
  #touchdown: Touchdown | undefined
  /** Where a body is collected that has no landing. */
  #document: Buffer | undefined
  #keepAlive: Milliseconds | undefined = Infinity
  #connected = false
  #closed = false
  #answers = 0

  constructor(connect: Connect, onClose: (connection: Connection) => void) {
    const { socket, ready } = connect({
      buffer: this.#target,
      callback: length => this.#received(length),
    })
    this.#socket = socket
    socket.once(ready, () => {
      this.#connected = true
      this.#call?.progress('connected', 0)
    })
    socket.on('error', error => this.#broken(connectionError(error, this.#connected)))
    socket.on('end', () => this.#broken(ended()))
    socket.on('close', () => {
      this.#closed = true
      this.#broken(ended())
      onClose(this)
    })
  }

  get isConnected(): boolean {
    return this.#connected
  }

  /** Whether it can take a request. One that was answered before all of it was sent has spoilt it. */
  get isUsable(): boolean {
    if (this.#closed || this.#call !== undefined) return false
    return this.#keepAlive !== undefined && this.#socket.writableLength === 0
  }

  /** How long it may be kept without a request. */
  get keepAlive(): Milliseconds {
    return this.#keepAlive ?? 0
  }

  /** Whether it has answered before, and may be in the course of being closed by the other side. */
  get isUsed(): boolean {
    return this.#answers > 0
  }

  /** Whether anything of the answer to the present request has come. */
  get hasAnswer(): boolean {
    return this.#filled > 0 || this.#head !== undefined
  }

  /** Memory for the bytes of the next request; nothing that is sent is in it while the connection is usable. */
  outgoing(length: Bytes): Buffer {
    if (this.#outgoing.length < length) {
      this.#outgoing = Buffer.allocUnsafeSlow(Math.ceil(length / OUTGOING_STEP) * OUTGOING_STEP)
    }
    return this.#outgoing.subarray(0, length)
  }

  send(call: Call): void {
    this.#call = call
    this.#socket.ref()
    const { bytes } = call
    if (typeof bytes === 'string') this.#socket.write(bytes, 'latin1')
    else this.#socket.write(bytes)
  }

  /** Nothing is under way: the process need not live on for it. */
  rest(): void {
    this.#socket.unref()
  }

  /** Whatever is under way is forgotten: nobody is told, nothing more is written to its memory. */
  destroy(): void {
    this.#call = undefined
    this.#closed = true
    this.#forget()
    this.#socket.destroy()
  }

  readonly #target = (): Uint8Array => {
    const touchdown = this.#touchdown
    return touchdown === undefined ? this.#scratch.subarray(this.#filled) : touchdown.rest()
  }

  #received(length: Bytes): boolean {
    if (this.#closed) return false
    if (this.#call === undefined) {
      // Nobody has asked for anything.
      this.destroy()
      return false
    }
    try {
      if (this.#touchdown === undefined) this.#receivedHead(length)
      else this.#receivedBody(this.#touchdown, length)
    } catch (error) {
      this.#broken(error)
    }
    return !this.#closed
  }

  #receivedHead(length: Bytes): void {
    const before = this.#filled
    this.#filled += length
    const end = headEnd(this.#scratch, this.#filled, before)
    if (end === 0) {
      if (this.#filled === MAX_HEAD) this.#odd()
      return
    }
    const head = parseHead(this.#scratch.toString('latin1', 0, end - 4))
    if (head === undefined) return this.#odd()
    this.#keepAlive = head.keepAlive
    const choose = head.status >= 400 ? undefined : this.#call?.choose
    if (choose === undefined && head.length > MAX_DOCUMENT) return this.#odd()
    this.#head = { status: head.status, headers: head.headers }
    this.#call?.progress('head', head.length)
    if (choose === undefined) this.#document = Buffer.allocUnsafe(head.length)
    const touchdown = new Touchdown(choose?.(this.#head) ?? { buffers: [this.#document ?? EMPTY] })
    if (touchdown.length !== head.length) {
      const message = `${head.length} bytes come instead of ${touchdown.length}`
      throw new BosError(message, { kind: 'integrity' })
    }
    this.#touchdown = touchdown
    touchdown.copy(this.#scratch.subarray(end, this.#filled))
    if (touchdown.left === 0) this.#complete()
  }

  #receivedBody(touchdown: Touchdown, length: Bytes): void {
    touchdown.advance(length)
    if (touchdown.left === 0) this.#complete()
    else this.#call?.progress('body', 0)
  }

  #complete(): void {
    const head = this.#head
    const call = this.#call
    if (head === undefined || call === undefined) return
    const body = this.#document ?? EMPTY
    this.#answers += 1
    this.#call = undefined
    this.#forget()
    if (this.#keepAlive === undefined) this.destroy()
    call.settle({ ...head, body })
  }

  #forget(): void {
    this.#filled = 0
    this.#head = undefined
    this.#touchdown = undefined
    this.#document = undefined
  }

  #odd(): void {
    const call = this.#call
    this.destroy()
    call?.settle('odd')
  }

  #broken(error: unknown): void {
    const call = this.#call
    if (call === undefined) {
      this.destroy()
      return
    }
    // Whoever is told may look at what had come.
    this.#call = undefined
    this.#socket.destroy()
    this.#closed = true
    call.fail(error)
    this.#forget()
  }
}

function ended(): BosError {
  return new BosError('connection broke: the other side closed it', { kind: 'network' })
}
