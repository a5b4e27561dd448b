/**
 * What bench/read.ts runs in processes of their own, so that nobody's work is counted as another's:
 *
 *     undici URL BYTES           GETs it by 8 connections, drops the bodies
 *     first PATH…                opens each file and reads 128 KiB, prints the median time
 *     random PATH SIZE SECONDS   reads at random places past the page cache, 32 at a time
 *     streams PATH…              reads all files at once, prints the time of each
 *
 * Prints one JSON document.
 */
import { Buffer } from 'node:buffer'
import { closeSync, constants, fstatSync, openSync, read, readSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { Pool } from 'undici'
import { KiB, MiB } from '../../src/util/units.js'

const CONNECTIONS = 8
const PARALLEL = 32
/** Seconds in which everybody's code is compiled. */
const WARM_UP = 1

async function getByUndici(url: string, size: number): Promise<number> {
  const { origin, pathname, search } = new URL(url)
  const pool = new Pool(origin, { connections: CONNECTIONS, pipelining: 1 })
  const part = Math.ceil(size / CONNECTIONS)
  const get = (i: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const range = `bytes=${i * part}-${Math.min(size, (i + 1) * part) - 1}`
      const request = { method: 'GET', path: pathname + search, headers: { range } } as const
      pool.dispatch(request, {
        onRequestStart: () => undefined,
        onResponseStart: () => undefined,
        onResponseData: () => undefined,
        onResponseEnd: () => resolve(),
        onResponseError: (_, error) => reject(error),
      })
    })
  const began = performance.now()
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => get(i)))
  const took = performance.now() - began
  await pool.close()
  return took / 1000
}

function firstBytes(paths: readonly string[]): number {
  const buffer = Buffer.allocUnsafe(128 * KiB)
  // What opening must know of a file that was listed is not what is measured.
  for (const path of paths) statSync(path)
  const times = paths.map(path => {
    const began = performance.now()
    const fd = openSync(path, 'r')
    readSync(fd, buffer, 0, buffer.length, 0)
    const took = performance.now() - began
    closeSync(fd)
    return took
  })
  return times.toSorted((a, b) => a - b)[times.length >> 1] ?? Number.NaN
}

async function readRandomly(path: string, size: number, seconds: number): Promise<number> {
  const readAsync = promisify(read)
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECT)
  const places = Math.floor(fstatSync(fd).size / size)
  const readFor = async (time: number): Promise<number> => {
    const end = performance.now() + time * 1000
    let count = 0
    const worker = async (): Promise<void> => {
      const buffer = Buffer.allocUnsafeSlow(size)
      for (; performance.now() < end; count++) {
        await readAsync(fd, buffer, 0, size, Math.floor(Math.random() * places) * size)
      }
    }
    await Promise.all(Array.from({ length: PARALLEL }, worker))
    return count / time
  }
  await readFor(WARM_UP)
  const rate = await readFor(seconds)
  closeSync(fd)
  return rate
}

async function readStreams(paths: readonly string[]): Promise<number[]> {
  return await Promise.all(
    paths.map(async path => {
      const file = await open(path)
      const buffer = Buffer.allocUnsafeSlow(MiB)
      const began = performance.now()
      while ((await file.read(buffer, 0, buffer.length)).bytesRead > 0) continue
      await file.close()
      return (performance.now() - began) / 1000
    }),
  )
}

process.env['UV_THREADPOOL_SIZE'] ??= String(PARALLEL)
const [command, ...args] = process.argv.slice(2)
const [first = '', second = '', third = ''] = args
const print = (value: unknown): void => console.log(JSON.stringify(value))
if (command === 'undici') print(await getByUndici(first, Number(second)))
else if (command === 'first') print(firstBytes(args))
else if (command === 'random') print(await readRandomly(first, Number(second), Number(third)))
else if (command === 'streams') print(await readStreams(args))
else throw new Error(`${command ?? 'nothing'} is no command`)
