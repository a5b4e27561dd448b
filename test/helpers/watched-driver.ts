/**
 * A driver that records every request which it passes on, and that delays or fails any of them on
 * demand. Each page of a listing and each step of a composition is a request of its own.
 */
import type { Composition, StorageDriver } from '../../src/driver/driver.js'
import { abortable } from '../../src/util/abort.js'

export interface Request {
  readonly method: string
  readonly path: string
}

export interface Watched {
  readonly driver: StorageDriver
  readonly requests: Request[]
  /** Runs before a request is passed on; what it throws is what the request fails with. */
  before: (request: Request, signal?: AbortSignal) => void | Promise<void>
  /** Runs when a request has had its effect, before the caller learns of it. */
  after: (request: Request, result?: unknown) => void | Promise<void>
  /** How many requests of these methods there were; of all, if none is named. */
  count(...methods: string[]): number
}

/** Methods that send nothing. */
const LOCAL = new Set(['checkPath', 'keyOf', 'close'])

type Method = (...args: unknown[]) => unknown

export function watched(inner: StorageDriver): Watched {
  const requests: Request[] = []
  const watch: Watched = {
    driver: new Proxy(inner, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target)
        if (typeof value !== 'function') return value
        const name = String(property)
        const method = (value as Method).bind(target)
        if (LOCAL.has(name)) return method
        if (name === 'entries' || name === 'entriesBelow') {
          return (path: string, ...rest: unknown[]) =>
            pages({ method: name, path }, method(path, ...rest) as AsyncIterable<unknown>, rest)
        }
        if (name === 'uploads') {
          return (path: string, ...rest: unknown[]) =>
            all({ method: name, path }, () => method(path, ...rest) as AsyncIterable<unknown>, rest)
        }
        // A request for many paths is watched as one for the first of them.
        return (path: string | readonly string[], ...rest: unknown[]) =>
          send(
            { method: name, path: typeof path === 'string' ? path : (path[0] ?? '/') },
            async () => {
              const result = await method(path, ...rest)
              return name === 'compose' ? composition(result as Composition) : result
            },
            rest,
          )
      },
    }),
    requests,
    before: () => undefined,
    after: () => undefined,
    count: (...methods) =>
      requests.filter(({ method }) => methods.length === 0 || methods.includes(method)).length,
  }

  async function send<T>(
    request: Request,
    work: () => Promise<T>,
    args: readonly unknown[],
  ): Promise<T> {
    requests.push(request)
    await watch.before(request, signalIn(args))
    const result = await work()
    await watch.after(request, result)
    return result
  }

  async function* pages<Page>(
    request: Request,
    listing: AsyncIterable<Page>,
    args: readonly unknown[],
  ): AsyncGenerator<Page> {
    const iterator = listing[Symbol.asyncIterator]()
    // An empty directory costs a request as well; the end of a full last page is known with it.
    for (let first = true; ; first = false) {
      if (first) requests.push(request)
      await watch.before(request, signalIn(args))
      const page = await iterator.next()
      if (page.done === true) return
      if (!first) requests.push(request)
      await watch.after(request)
      yield page.value
    }
  }

  async function* all<Item>(
    request: Request,
    list: () => AsyncIterable<Item>,
    args: readonly unknown[],
  ): AsyncGenerator<Item> {
    yield* await send(request, async () => list(), args)
  }

  function composition(inside: Composition): Composition {
    const { path } = inside
    return {
      path,
      uploadId: inside.uploadId,
      uploadPart: (...args) =>
        send({ method: 'uploadPart', path }, () => inside.uploadPart(...args), args),
      copyPart: (...args) =>
        send({ method: 'copyPart', path }, () => inside.copyPart(...args), args),
      complete: (...args) =>
        send({ method: 'complete', path }, () => inside.complete(...args), args),
      abort: (...args) => send({ method: 'abort', path }, () => inside.abort(...args), args),
    }
  }

  return watch
}

/** Of the options that a request was given last. */
function signalIn(args: readonly unknown[]): AbortSignal | undefined {
  const options = args.at(-1) as { readonly signal?: unknown } | undefined
  return options?.signal instanceof AbortSignal ? options.signal : undefined
}

/** Holds requests back until they are let go, or called off. */
export function hold(
  watch: Watched,
  holds: (request: Request) => boolean,
  when: 'before' | 'after' = 'before',
): { readonly reached: Promise<void>; readonly release: () => void } {
  let release: () => void = () => undefined
  let reach: () => void = () => undefined
  const released = new Promise<void>(resolve => (release = resolve))
  const reached = new Promise<void>(resolve => (reach = resolve))
  watch[when] = (request: Request, signal?: unknown) => {
    if (!holds(request)) return
    reach()
    return abortable(released, signal instanceof AbortSignal ? signal : undefined)
  }
  return {
    reached,
    release: () => {
      watch[when] = () => undefined
      release()
    },
  }
}
