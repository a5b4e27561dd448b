/**
 * Operations and a driver that tell an observer what is done with them. What is not observed is not
 * wrapped and costs nothing.
 */
import type { Composition, ReadIntoResult, StorageDriver } from '../driver/driver.js'
import type { Operations } from '../fs/operations.js'
import type { Observer, OperationKind } from '../util/observer.js'
import type { Milliseconds } from '../util/units.js'

/** Not requests that take time: they are called for every inode, or once, or send nothing. */
const UNOBSERVED = new Set(['init', 'destroy', 'forget', 'checkPath', 'keyOf'])

type Method = (...values: unknown[]) => unknown

/** The same file system, whose calls tell the observer their name, time, error and bytes. */
export function observeOperations(operations: Operations, observer: Observer): Operations {
  return wrap(operations, { kind: 'fuse', observer, bytes: fuseBytes })
}

/** The same driver, whose calls tell the observer their name, time, error and bytes. */
export function observeDriver(driver: StorageDriver, observer: Observer): StorageDriver {
  return wrap(driver, { kind: 'store', observer, bytes: storeBytes })
}

interface Watch {
  readonly kind: OperationKind
  readonly observer: Observer
  /** Tells bytes that a call has moved. */
  readonly bytes: (observer: Observer, name: string, result: unknown, values: unknown[]) => void
}

/** An object with the same members; calls of its methods are told. What is no method is asked of the target. */
function wrap<T extends object>(target: T, watch: Watch): T {
  const members: Record<PropertyKey, unknown> = {}
  for (const name of memberNames(target)) {
    // With the target itself as the receiver: it has private fields.
    const value: unknown = Reflect.get(target, name, target)
    if (typeof value !== 'function') {
      Object.defineProperty(members, name, {
        get: () => Reflect.get(target, name, target) as unknown,
      })
      continue
    }
    const method = (value as Method).bind(target)
    const isObserved = typeof name === 'string' && !UNOBSERVED.has(name)
    members[name] = isObserved ? told(name, method, watch) : method
  }
  // Members of a prototype are found faster than so many of an object's own.
  return Object.create(members) as T
}

function memberNames(target: object): Set<PropertyKey> {
  const names = new Set<PropertyKey>()
  for (let at: object = target; at !== Object.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const name of Reflect.ownKeys(at)) names.add(name)
  }
  names.delete('constructor')
  return names
}

/** Two looks at the clock, of 50 ns each: what is answered at once may have moved a MiB. */
function told(name: string, method: Method, watch: Watch): Method {
  const { kind, observer, bytes } = watch
  return (...values) => {
    const begun = performance.now()
    let result: unknown
    try {
      result = method(...values)
    } catch (error) {
      observer.operation(kind, name, performance.now() - begun, codeOf(error))
      throw error
    }
    if (result instanceof Promise) return toldLater(result, { ...watch, name, values, begun })
    // A listing is over when it has been read; its pages are requests of their own.
    if (kind === 'store' && isAsyncIterable(result)) return timedPages(result, { ...watch, name })
    observer.operation(kind, name, performance.now() - begun)
    bytes(observer, name, result, values)
    return result
  }
}

interface Later extends Watch {
  readonly name: string
  readonly values: unknown[]
  readonly begun: Milliseconds
}

async function toldLater(
  promise: Promise<unknown>,
  { name, values, begun, ...watch }: Later,
): Promise<unknown> {
  const { kind, observer, bytes } = watch
  try {
    const result = await promise
    observer.operation(kind, name, performance.now() - begun)
    bytes(observer, name, result, values)
    return kind === 'store' && name === 'compose' ? wrap(result as Composition, watch) : result
  } catch (error) {
    observer.operation(kind, name, performance.now() - begun, codeOf(error))
    throw error
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
