/** What an observer is told, as Prometheus metrics; and what is asked at the time of a scrape. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observer, OperationKind, StoreRequest } from '../util/observer.js'
import type { Bytes, Milliseconds } from '../util/units.js'

/** From a name that is cached to a part on a slow line, in seconds. */
const BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]

const PREFIX = 'bosmount_'

/** Numbers that are true at this moment, by name: `inodes`, `dirtyBytes`; those named …Total only grow. */
export type Gauges = () => Readonly<Record<string, number>>

export class PrometheusObserver implements Observer {
  readonly #registry = new Registry()
  readonly #durations: Readonly<Record<OperationKind, Histogram>>
  readonly #errors: Readonly<Record<OperationKind, Counter>>
  readonly #bytes: Readonly<Record<OperationKind, Counter>>
  readonly #requests: Histogram
  readonly #statuses: Counter
  readonly #requestBytes: Counter
  readonly #retries: Counter
  readonly #gauges: Gauges

  constructor(gauges: Gauges) {
    const registers = [this.#registry]
    const titles = { fuse: 'requests of the kernel', store: 'calls of the storage driver' }
    const each = <T>(make: (kind: OperationKind, title: string) => T) => ({
      fuse: make('fuse', titles.fuse),
      store: make('store', titles.store),
    })
    this.#durations = each(
      (kind, title) =>
        new Histogram({
          name: `${PREFIX}${kind}_operation_seconds`,
          help: `How long ${title} took`,
          labelNames: ['operation'],
          buckets: BUCKETS,
          registers,
        }),
    )
    this.#errors = each(
      (kind, title) =>
        new Counter({
          name: `${PREFIX}${kind}_errors_total`,
          help: `Of ${title} those that failed, by errno or code`,
          labelNames: ['operation', 'code'],
          registers,
        }),
    )
    this.#bytes = each(
      (kind, title) =>
        new Counter({
          name: `${PREFIX}${kind}_bytes_total`,
          help: `Content moved by ${title}`,
          labelNames: ['direction'],
          registers,
        }),
    )
    this.#gauges = gauges
    this.#requests = new Histogram({
      name: `${PREFIX}request_seconds`,
      help: 'How long attempts of requests to BOS took, by what BOS calls them',
      labelNames: ['operation'],
      buckets: BUCKETS,
      registers,
    })
    this.#statuses = new Counter({
      name: `${PREFIX}requests_total`,
      help: 'Attempts of requests to BOS, by operation and status, or why there was none',
      labelNames: ['operation', 'status'],
      registers,
    })
    this.#requestBytes = new Counter({
      name: `${PREFIX}request_bytes_total`,
      help: 'Content of requests to BOS and of the answers, without headers',
      labelNames: ['direction'],
      registers,
    })
    this.#retries = new Counter({
      name: `${PREFIX}request_retries_total`,
      help: 'Attempts that were followed by another',
      registers,
    })
    // Memory, CPU and the delay of the event loop.
    collectDefaultMetrics({ register: this.#registry, prefix: PREFIX })
  }

  operation(kind: OperationKind, name: string, duration: Milliseconds, error?: string): void {
    this.#durations[kind].observe({ operation: name }, duration / 1000)
    if (error !== undefined) this.#errors[kind].inc({ operation: name, code: error })
  }

  bytes(kind: OperationKind, direction: 'read' | 'write', amount: Bytes): void {
    this.#bytes[kind].inc({ direction }, amount)
  }

  readonly request = ({ operation, status, duration, sent, received }: StoreRequest): void => {
    this.#requests.observe({ operation }, duration / 1000)
    this.#statuses.inc({ operation, status })
    if (sent > 0) this.#requestBytes.inc({ direction: 'sent' }, sent)
    if (received > 0) this.#requestBytes.inc({ direction: 'received' }, received)
  }

  readonly retry = (): void => {
    this.#retries.inc()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text that Prometheus scrapes. */
  async text(): Promise<string> {
    for (const [name, value] of Object.entries(this.#gauges())) this.#show(snake(name), value)
    return await this.#registry.metrics()
  }

  /** Sets a number that somebody else counts. */
  #show(name: string, value: number): void {
    const full = PREFIX + name
    const known = this.#registry.getSingleMetric(full)
    if (known instanceof Gauge) known.set(value)
    else if (known instanceof Counter) {
      known.reset()
      known.inc(value)
    } else {
      const options = { name: full, help: name.replaceAll('_', ' '), registers: [this.#registry] }
      if (name.endsWith('_total')) new Counter(options).inc(value)
      else new Gauge(options).set(value)
    }
  }
}

/** `dirtyBytes` is `dirty_bytes`. */
function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
