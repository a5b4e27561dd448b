/** What an observer is told, as Prometheus metrics; and what is asked at the time of a scrape. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Observer, OperationKind } from '../util/observer.js'
import type { Bytes, Milliseconds } from '../util/units.js'

/** From a name that is cached to a part on a slow line, in seconds. */
const BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60]

const PREFIX = 'bosmount_'

/** Numbers that are true at this moment, by name: `inodes`, `handles`, … */
export type Gauges = () => Readonly<Record<string, number>>

export class PrometheusObserver implements Observer {
  readonly #registry = new Registry()
  readonly #durations: Readonly<Record<OperationKind, Histogram>>
  readonly #errors: Readonly<Record<OperationKind, Counter>>
  readonly #bytes: Readonly<Record<OperationKind, Counter>>

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
    for (const name of Object.keys(gauges())) {
      new Gauge({
        name: `${PREFIX}${name}`,
        help: `${name.replaceAll('_', ' ')} at this moment`,
        registers,
        collect() {
          this.set(gauges()[name] ?? 0)
        },
      })
    }
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

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text that Prometheus scrapes. */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }
}
