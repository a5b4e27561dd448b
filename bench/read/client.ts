/**
 * What bench/read.ts runs in processes of their own, so that nobody's work is counted as another's:
 *
 *     undici URL BYTES           GETs it by 8 connections, drops the bodies
 *     first PATH…                opens each file and reads 128 KiB, prints the median time
 *     random PATH SIZE SECONDS   reads at random places past the page cache, 32 at a time
 *     streams PATH…              reads all files at once, prints the time of each
 *     pass-through FILE DIR      mounts a directory with one file, `file`, that is read from FILE
 *
 * Prints one JSON document.
 */
import { Buffer } from 'node:buffer'
import { closeSync, constants, fstatSync, openSync, read, readSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { Pool } from 'undici'
import { createFuseBinding } from '../../src/fs/fuse/binding.js'
import type { Attributes, Entry, Fh, Ino, Operations } from '../../src/fs/operations.js'
import { ErrnoError } from '../../src/util/errno.js'
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

/** One file, read anew from another file system each time. */
function passThrough(source: string): Operations {
  const fd = openSync(source, 'r')
  const { size } = fstatSync(fd)
  const buffer = Buffer.allocUnsafeSlow(MiB)
  const time = { seconds: 0, nanoseconds: 0 }
  const attributesOf = (ino: number): Attributes => ({
    ino,
    size: ino === 1 ? 0 : size,
    blocks: 8,
    atime: time,
    mtime: time,
    ctime: time,
    mode: ino === 1 ? 0o040755 : 0o100644,
    nlink: 1,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 4096,
  })
  const reply = (ino: number) => ({ attributes: attributesOf(ino), attributesValid: 3600 })
  const entry: Entry = { ...reply(2), ino: 2 as Ino, generation: 0, entryValid: 3600 }
  const nothing = (): void => undefined
  const refuse = (): never => {
    throw new ErrnoError('EPERM', 'not part of the benchmark')
  }
  return {
    init: nothing,
    destroy: () => Promise.resolve(),
    lookup: () => entry,
    forget: nothing,
    getattr: (_, ino) => reply(ino),
    setattr: refuse,
    readlink: refuse,
    mknod: refuse,
    mkdir: refuse,
    unlink: refuse,
    rmdir: refuse,
    symlink: refuse,
    rename: refuse,
    link: refuse,
    open: () => ({ fh: 1 as Fh, directIo: true }),
    create: refuse,
    read: (_, __, ___, offset, length) => [
      buffer.subarray(0, readSync(fd, buffer, 0, Math.min(length, buffer.length), offset)),
    ],
    write: refuse,
    flush: nothing,
    release: nothing,
    fsync: nothing,
    opendir: () => ({ fh: 1 as Fh }),
    readdir: nothing,
    releasedir: nothing,
    fsyncdir: nothing,
    syncfs: nothing,
    statfs: refuse,
    access: nothing,
    getxattr: refuse,
    listxattr: refuse,
    setxattr: refuse,
    removexattr: refuse,
    fallocate: refuse,
    lseek: refuse,
    copyfilerange: refuse,
  }
}

async function servePassThrough(source: string, mountpoint: string): Promise<void> {
  const mount = await createFuseBinding().mount(passThrough(source), mountpoint, {
    source: 'pass-through',
  })
  console.log('mounted')
  process.once('SIGTERM', () => void mount.unmount())
  await mount.closed
}

process.env['UV_THREADPOOL_SIZE'] ??= String(PARALLEL)
const [command, ...args] = process.argv.slice(2)
const [first = '', second = '', third = ''] = args
const print = (value: unknown): void => console.log(JSON.stringify(value))
if (command === 'undici') print(await getByUndici(first, Number(second)))
else if (command === 'first') print(firstBytes(args))
else if (command === 'random') print(await readRandomly(first, Number(second), Number(third)))
else if (command === 'streams') print(await readStreams(args))
else await servePassThrough(first, second)
