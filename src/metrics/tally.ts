/** Plain sums of what an observer is told: what `bosmount stats` shows. Always on, some numbers per name. */
import type { Observer, OperationKind } from '../util/observer.js'
import type { Bytes, Milliseconds } from '../util/units.js'

export interface OperationSums {
  readonly count: number
  readonly errors: number
  readonly time: Milliseconds
  /** The longest since the beginning. */
  readonly longest: Milliseconds
}

export interface KindSums {
  readonly operations: Readonly<Record<string, OperationSums>>
  readonly read: Bytes
  readonly written: Bytes
}

export type TallySnapshot = Readonly<Record<OperationKind, KindSums>>

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

class Kind {
  readonly operations = new Map<string, Mutable<OperationSums>>()
  read = 0
  written = 0

  snapshot(): KindSums {
    const operations = Object.fromEntries(
      [...this.operations].map(([name, sums]) => [name, { ...sums }] as const),
    )
    return { operations, read: this.read, written: this.written }
  }
}

export class Tally implements Observer {
  readonly #kinds = { fuse: new Kind(), store: new Kind() }

  operation(kind: OperationKind, name: string, duration: Milliseconds, error?: string): void {
    const { operations } = this.#kinds[kind]
    let sums = operations.get(name)
    if (sums === undefined) {
      sums = { count: 0, errors: 0, time: 0, longest: 0 }
      operations.set(name, sums)
    }
    sums.count += 1
    sums.time += duration
    if (duration > sums.longest) sums.longest = duration
    if (error !== undefined) sums.errors += 1
  }

  bytes(kind: OperationKind, direction: 'read' | 'write', amount: Bytes): void {
    const sums = this.#kinds[kind]
    if (direction === 'read') sums.read += amount
    else sums.written += amount
  }

  snapshot(): TallySnapshot {
    return { fuse: this.#kinds.fuse.snapshot(), store: this.#kinds.store.snapshot() }
  }
}

/** One observer that tells several. */
export function several(...observers: readonly Observer[]): Observer {
  return {
    operation: (kind, name, duration, error) => {
      for (const observer of observers) observer.operation(kind, name, duration, error)
    },
    bytes: (kind, direction, amount) => {
      for (const observer of observers) observer.bytes(kind, direction, amount)
    },
    request: request => {
      for (const observer of observers) observer.request?.(request)
    },
    retry: () => {
      for (const observer of observers) observer.retry?.()
    },
  }
}
