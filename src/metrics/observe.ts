/**
 * Operations and a driver that tell an observer what is done with them. What is not observed is not
 * wrapped and costs nothing.
 */
import type { Composition, ReadIntoResult, StorageDriver } from '../driver/driver.js'
import type { Operations } from '../fs/operations.js'
import type { Observer, OperationKind } from '../util/observer.js'

/** Not requests that take time: they are called for every inode, or once, or send nothing. */
const UNOBSERVED = new Set(['init', 'destroy', 'forget', 'constructor', 'checkPath', 'keyOf'])

type Method = (...values: unknown[]) => unknown

export function observeOperations(operations: Operations, observer: Observer): Operations {
  return wrap(operations, { kind: 'fuse', observer, bytes: fuseBytes })
}

export function observeDriver(driver: StorageDriver, observer: Observer): StorageDriver {
  return wrap(driver, { kind: 'store', observer, bytes: storeBytes })
}

interface Watch {
  readonly kind: OperationKind
  readonly observer: Observer
  /** Tells bytes that a call has moved. */
  readonly bytes: (observer: Observer, name: string, result: unknown, values: unknown[]) => void
}

/** An object with the same methods; those that give a promise or a value are timed. */
function wrap<T extends object>(target: T, watch: Watch): T {
  const methods = new Map<string, Method>()
  return new Proxy(target, {
    get(object, name) {
      const known = typeof name === 'string' ? methods.get(name) : undefined
      if (known !== undefined) return known
      // With the object itself as the receiver: it has private fields.
      const value: unknown = Reflect.get(object, name, object)
      if (typeof value !== 'function' || typeof name !== 'string') return value
      const method = (value as Method).bind(object)
      const observed = UNOBSERVED.has(name) ? method : timed(name, method, watch)
      methods.set(name, observed)
      return observed
    },
  })
}

function timed(name: string, method: Method, { kind, observer, bytes }: Watch): Method {
  return (...values) => {
    const begun = performance.now()
    const good = <R>(result: R): R => {
      observer.operation(kind, name, performance.now() - begun)
      bytes(observer, name, result, values)
      return kind === 'store' && name === 'compose'
        ? (wrap(result as Composition, { kind, observer, bytes }) as R)
        : result
    }
    const bad = (error: unknown): never => {
      observer.operation(kind, name, performance.now() - begun, codeOf(error))
      throw error
    }
    let result: unknown
    try {
      result = method(...values)
    } catch (error) {
      return bad(error)
    }
    if (result instanceof Promise) return result.then(good, bad)
    // A listing is over when it has been read; its pages are requests of their own.
    if (isAsyncIterable(result)) return timedPages(result, { kind, observer, name })
    return good(result)
  }
}

interface Pages {
  readonly kind: OperationKind
  readonly observer: Observer
  readonly name: string
}

async function* timedPages(
  pages: AsyncIterable<unknown>,
  { kind, observer, name }: Pages,
): AsyncGenerator<unknown> {
  let begun = performance.now()
  try {
    for await (const page of pages) {
      observer.operation(kind, name, performance.now() - begun)
      yield page
      begun = performance.now()
    }
  } catch (error) {
    observer.operation(kind, name, performance.now() - begun, codeOf(error))
    throw error
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function codeOf(error: unknown): string {
  if (error instanceof Error && error.name === 'AbortError') return 'ABORTED'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : 'FAILED'
}

function fuseBytes(observer: Observer, name: string, result: unknown): void {
  if (name === 'write') observer.bytes('fuse', 'write', result as number)
  if (name !== 'read') return
  let length = 0
  for (const slice of result as readonly Uint8Array[]) length += slice.length
  observer.bytes('fuse', 'read', length)
}

function storeBytes(observer: Observer, name: string, result: unknown, values: unknown[]): void {
  switch (name) {
    case 'readInto':
      observer.bytes('store', 'read', (result as ReadIntoResult).bytesRead)
      break
    case 'getContent':
      observer.bytes('store', 'read', (result as Uint8Array).length)
      break
    case 'putContent':
    case 'uploadPart':
      observer.bytes('store', 'write', lengthOf(values[1]))
      break
    default:
      break
  }
}

function lengthOf(content: unknown): number {
  if (content instanceof Uint8Array) return content.length
  return (content as readonly Uint8Array[]).reduce((sum, piece) => sum + piece.length, 0)
}
