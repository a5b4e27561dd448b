/**
 * What the FUSE transport alone can do: an Operations that answers from memory, served by one
 * process, asked by another.
 *
 *     node dist/bench/fuse.js [seconds per figure, default 2]
 *
 * Prints a table, and the versions that it holds for. Needs /dev/fuse. Figures depend on the machine
 * and on what else it does; compare them with others of the same sitting only.
 */
import { Buffer } from 'node:buffer'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, read, readSync, statSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createFuseBinding } from '../src/fs/fuse/binding.js'
import type { Attributes, Entry, Fh, Ino, Operations } from '../src/fs/operations.js'
import { ErrnoError } from '../src/util/errno.js'
import { GiB, KiB, MiB } from '../src/util/units.js'

const DIRECTORY = 0o040755
const FILE = 0o100644
const BIG: Ino = 2 as Ino
const PARALLEL = 32

/** One file of 1 GiB that swallows writes and reads as zeros, and as many names as one likes. */
function benchOperations(): Operations {
  const zeros = Buffer.alloc(1 * MiB)
  const time = { seconds: 0, nanoseconds: 0 }
  const attributesOf = (ino: number): Attributes => ({
    ino,
    size: ino === BIG ? 1 * GiB : 4096,
    blocks: 8,
    atime: time,
    mtime: time,
    ctime: time,
    mode: ino === 1 ? DIRECTORY : FILE,
    nlink: 1,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    rdev: 0,
    blksize: 4096,
  })
  const reply = (ino: number) => ({ attributes: attributesOf(ino), attributesValid: 3600 })
  // Names are not remembered, so that each stat is one LOOKUP.
  const entry = (ino: number): Entry => ({
    ...reply(ino),
    ino: ino as Ino,
    generation: 0,
    entryValid: 0,
  })
  const open = { fh: 1 as Fh, directIo: true }
  const refuse = (): never => {
    throw new ErrnoError('EPERM', 'not part of the benchmark')
  }
  const nothing = (): void => {}
  return {
    init: nothing,
    destroy: () => Promise.resolve(),
    lookup: (_, __, name) => entry(name === 'big' ? BIG : 10 + Number(name)),
    forget: nothing,
    getattr: (_, ino) => reply(ino),
    setattr: (_, ino) => reply(ino),
    readlink: refuse,
    mknod: refuse,
    mkdir: refuse,
    unlink: refuse,
    rmdir: refuse,
    symlink: refuse,
    rename: refuse,
    link: refuse,
    open: () => open,
    create: refuse,
    read: (_, __, ___, ____, size) => [zeros.subarray(0, size)],
    write: (_, __, ___, { data }) => data.length,
    flush: nothing,
    release: nothing,
    fsync: nothing,
    opendir: () => open,
    readdir: nothing,
    releasedir: nothing,
    fallocate: refuse,
    lseek: refuse,
    copyfilerange: refuse,
    fsyncdir: nothing,
    syncfs: nothing,
    statfs: refuse,
    access: nothing,
    getxattr: refuse,
    listxattr: () => [],
    setxattr: refuse,
    removexattr: refuse,
  }
}

async function serve(mountpoint: string): Promise<void> {
  const spin = process.env['BENCH_SPIN']
  const binding = createFuseBinding(spin === undefined ? {} : { channel: { spin: Number(spin) } })
  const mount = await binding.mount(benchOperations(), mountpoint, { source: 'bench' })
  process.on('message', message => {
    if (message === 'end') void mount.unmount()
    else process.send?.({ cpu: process.cpuUsage(), rss: process.memoryUsage.rss() })
  })
  process.send?.('mounted')
  await mount.closed
  process.disconnect()
}

type Figure = readonly [name: string, unit: string, run: (until: () => boolean) => Promise<number>]

/** Each returns how many units it did before `until` said so. */
function figures(mountpoint: string): Figure[] {
  const big = join(mountpoint, 'big')
  const withBig = async (work: (fd: number) => number | Promise<number>): Promise<number> => {
    const fd = openSync(big, 'r+')
    try {
      return await work(fd)
    } finally {
      closeSync(fd)
    }
  }
  const write = (size: number, until: () => boolean): Promise<number> =>
    withBig(fd => {
      const data = Buffer.allocUnsafeSlow(size)
      let offset = 0
      for (; !until(); offset += size) writeSync(fd, data, 0, size, offset % GiB)
      return offset / 1e6
    })
  const readAll = (size: number, until: () => boolean): Promise<number> =>
    withBig(fd => {
      const data = Buffer.allocUnsafeSlow(size)
      let offset = 0
      for (; !until(); offset += size) readSync(fd, data, 0, size, offset % GiB)
      return offset / 1e6
    })
  const readRandomly = (until: () => boolean): Promise<number> =>
    withBig(async fd => {
      const readAsync = promisify(read)
      let count = 0
      const worker = async (): Promise<void> => {
        const data = Buffer.allocUnsafeSlow(4 * KiB)
        for (; !until(); count++) {
          const offset = Math.floor(Math.random() * (GiB / 4096)) * 4096
          await readAsync(fd, data, 0, data.length, offset)
        }
      }
      await Promise.all(Array.from({ length: PARALLEL }, worker))
      return count
    })
  return [
    [
      'serial lookups',
      '/s',
      until => {
        let count = 0
        for (; !until(); count++) statSync(join(mountpoint, String(count % 1000)))
        return Promise.resolve(count)
      },
    ],
    ['writes of 32 KiB', 'MB/s', until => write(32 * KiB, until)],
    ['writes of 1 MiB', 'MB/s', until => write(1 * MiB, until)],
    [`random reads of 4 KiB, ${PARALLEL} at a time`, '/s', readRandomly],
    ['serial reads of 4 KiB', 'MB/s', until => readAll(4 * KiB, until)],
    ['sequential reads of 128 KiB', 'MB/s', until => readAll(128 * KiB, until)],
    ['sequential reads of 1 MiB', 'MB/s', until => readAll(1 * MiB, until)],
  ]
}

interface Usage {
  readonly cpu: NodeJS.CpuUsage
  readonly rss: number
}

async function usageOf(server: ChildProcess): Promise<Usage> {
  server.send('usage')
  const [usage] = (await once(server, 'message')) as [Usage]
  return usage
}

function cpuBetween(before: Usage, after: Usage): number {
  const { user, system } = after.cpu
  return (user + system - before.cpu.user - before.cpu.system) / 1e6
}

async function measure(server: ChildProcess, mountpoint: string, seconds: number): Promise<void> {
  console.log(`node ${process.version}, linux ${release()}, ${seconds} s per figure`)
  for (const [name, unit, run] of figures(mountpoint)) {
    const before = await usageOf(server)
    const start = performance.now()
    const amount = await run(() => performance.now() - start > seconds * 1000)
    const took = (performance.now() - start) / 1000
    const cpu = cpuBetween(before, await usageOf(server)) / took
    const figure = Math.round(amount / took).toLocaleString('en')
    console.log(
      `${name.padEnd(36)}${figure.padStart(9)} ${unit.padEnd(5)} server CPU ${cpu.toFixed(2)}`,
    )
  }
  const before = await usageOf(server)
  await delay(seconds * 1000)
  const after = await usageOf(server)
  const idle = ((cpuBetween(before, after) / seconds) * 100).toFixed(2)
  console.log(`idle: ${idle} % of a processor; resident ${Math.round(after.rss / MiB)} MiB`)
}

async function main(seconds: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bosmount-bench-'))
  const server = fork(fileURLToPath(import.meta.url), ['serve', folder])
  try {
    await once(server, 'message', { signal: AbortSignal.timeout(10_000) })
    await measure(server, folder, seconds)
  } finally {
    if (server.connected) server.send('end')
    if (server.exitCode === null) await once(server, 'exit')
    await rm(folder, { recursive: true })
  }
}

// The client's own reads run on the pool: as many threads as reads, before its first use.
process.env['UV_THREADPOOL_SIZE'] ??= String(PARALLEL)
const [first = '2', second = ''] = process.argv.slice(2)
if (first === 'serve') await serve(second)
else await main(Number(first))
