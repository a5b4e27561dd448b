/**
 * One line on the terminal that tells how far long work is, drawn over itself. Written to standard
 * error, and only where that is a terminal, unless it is asked for; the line goes away at the end.
 */
import { systemClock } from '../util/clock.js'
import type { Clock } from '../util/clock.js'
import { formatBytes } from '../util/units.js'
import type { Bytes, Milliseconds } from '../util/units.js'

export interface ProgressOptions {
  /** What is being done, e.g. `put`. */
  title: string
  /** Bytes in all, if known. */
  total?: Bytes
  /** Things in all, if known; with it or `things` they are counted. */
  things?: number
  /** Default: if the stream is a terminal. */
  show?: boolean
  stream?: ProgressStream
  clock?: Clock
}

export interface ProgressStream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

const REDRAW: Milliseconds = 200
/** Nothing is shown of what is over sooner. */
const PATIENCE: Milliseconds = 500
const BAR = 20
const DEFAULT_COLUMNS = 80

export class Progress {
  readonly #title: string
  readonly #stream: ProgressStream
  readonly #clock: Clock
  readonly #shown: boolean
  readonly #begun: Milliseconds
  #total: Bytes | undefined
  #things: number | undefined
  #bytes: Bytes = 0
  #count = 0
  #drawnAt: Milliseconds
  #drawn = false

  constructor(options: ProgressOptions) {
    const { title, total, things, stream = process.stderr, clock = systemClock } = options
    this.#title = title
    this.#stream = stream
    this.#clock = clock
    this.#shown = options.show ?? stream.isTTY === true
    this.#total = total
    this.#things = things
    this.#begun = clock.now()
    this.#drawnAt = this.#begun + PATIENCE - REDRAW
  }

  get bytes(): Bytes {
    return this.#bytes
  }

  get count(): number {
    return this.#count
  }

  /** Bytes that are done. */
  add(bytes: Bytes): void {
    this.#bytes += bytes
    this.#draw()
  }

  /** Things that are done. */
  tick(count = 1): void {
    this.#count += count
    this.#draw()
  }

  /** What was found out about the whole meanwhile. */
  expect(more: { bytes?: Bytes; things?: number }): void {
    if (more.bytes !== undefined) this.#total = (this.#total ?? 0) + more.bytes
    if (more.things !== undefined) this.#things = (this.#things ?? 0) + more.things
  }

  /** Removes the line. */
  end(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[K')
    this.#drawn = false
  }

  #draw(): void {
    if (!this.#shown) return
    const now = this.#clock.now()
    if (now - this.#drawnAt < REDRAW) return
    this.#drawnAt = now
    this.#drawn = true
    const room = (this.#stream.columns ?? DEFAULT_COLUMNS) - 1
    this.#stream.write(`\r${this.#line(now).slice(0, room)}\u001b[K`)
  }

  #line(now: Milliseconds): string {
    const seconds = Math.max(now - this.#begun, 1) / 1000
    const rate = this.#bytes / seconds
    const parts = [this.#title]
    if (this.#total !== undefined && this.#total > 0) {
      const share = Math.min(this.#bytes / this.#total, 1)
      const done = Math.round(share * BAR)
      parts.push(`[${'#'.repeat(done)}${'.'.repeat(BAR - done)}]`, `${Math.floor(share * 100)} %`)
    }
    if (this.#things !== undefined || this.#count > 0) {
      parts.push(this.#things === undefined ? `${this.#count}` : `${this.#count}/${this.#things}`)
    }
    if (this.#bytes > 0) {
      parts.push(
        this.#total === undefined
          ? formatBytes(this.#bytes)
          : `${formatBytes(this.#bytes)} of ${formatBytes(this.#total)}`,
        `${formatBytes(Math.round(rate))}/s`,
      )
    }
    if (this.#total !== undefined && rate > 0 && this.#bytes < this.#total) {
      parts.push(`${formatSeconds((this.#total - this.#bytes) / rate)} left`)
    }
    return parts.join('  ')
  }
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes} min ${whole % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
