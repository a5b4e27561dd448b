/**
 * What the rows of bench/read.ts measure on: an embedded server in a process of its own, with one big
 * object and many copies of a smaller one, and fresh mounts of its bucket.
 */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Part, StorageDriver } from '../../src/driver/driver.js'
import { MiB } from '../../src/util/units.js'
import { MountedBucket, startServer } from '../../test/helpers/bosmount.js'
import { openBucket } from '../../test/helpers/bucket.js'
import type { Owner } from '../../test/helpers/owner.js'
import { runOk } from '../../test/helpers/processes.js'
import { scratchFolder } from '../../test/helpers/scratch.js'

export interface SceneOptions {
  /** Of the big object, in bytes; each of the files has a sixteenth of it. */
  readonly size: number
  readonly rounds: number
  /** For each figure that is counted over a time. */
  readonly seconds: number
  /** Of the run that is to show no decay, in seconds. */
  readonly decay: number
  /** Of each stream of the row about memory, in bytes. */
  readonly stream: number
}

export interface Scene extends SceneOptions {
  readonly owner: Owner
  readonly folder: string
  readonly driver: StorageDriver
  /** Names of the files. */
  readonly files: readonly string[]
  /** The name of an object that is as big as the big one and has not been named before. */
  anotherBig(): string
  /** An object of this size. @returns its path */
  make(name: string, size: number): Promise<string>
  /** Every request takes so many milliseconds longer while `work` is under way. */
  delayed<T>(time: number, work: () => Promise<T>): Promise<T>
  /** A fresh mount, gone before the promise of `work` settles. */
  mounted<T>(args: readonly string[], work: (mount: MountedBucket) => Promise<T>): Promise<T>
}

const FILES = 32
/** What the rows use up in a round, and before the first. */
const BIGS_PER_ROUND = 5
/** The server looks at its rules when they change, but not at once. */
const RULES_ARE_READ = 1500

const CLIENT = fileURLToPath(new URL('client.js', import.meta.url))

/** Runs a command of client.ts. */
export async function client<T>(...args: readonly string[]): Promise<T> {
  const { text } = await runOk(process.execPath, [CLIENT, ...args], { timeout: 900_000 })
  return JSON.parse(text) as T
}

export async function dd(path: string, blockSize = '1M'): Promise<void> {
  const args = [`if=${path}`, 'of=/dev/null', `bs=${blockSize}`, 'status=none']
  await runOk('dd', args, { timeout: 300_000 })
}

/** Drops what the kernel has of a file in its page cache. */
export async function dropPages(path: string): Promise<void> {
  await runOk('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
}

export async function makeScene(owner: Owner, options: SceneOptions): Promise<Scene> {
  const folder = scratchFolder(owner)
  const faults = join(folder, 'faults.json')
  writeFileSync(faults, '[]')
  const server = await startServer(owner, folder, ['--faults', faults])
  const driver = await openBucket(owner, server)
  const { size } = options
  const files = Array.from({ length: FILES }, (_, i) => `file${i}`)
  await store(driver, '/big', size)
  await store(driver, '/file', size / 16)
  for (const name of files) await driver.copy('/file', `/${name}`)
  const setFaults = async (rules: readonly object[]): Promise<void> => {
    writeFileSync(faults, JSON.stringify(rules))
    await sleep(RULES_ARE_READ)
  }
  // Made before any mount has listed the bucket. They cost the server nothing.
  const bigs = Array.from({ length: BIGS_PER_ROUND * (options.rounds + 1) }, (_, i) => `big${i}`)
  for (const name of bigs) await driver.copy('/big', `/${name}`)
  let mounts = 0
  return {
    ...options,
    owner,
    folder,
    driver,
    files,
    anotherBig: () => {
      const name = bigs.pop()
      if (name === undefined) throw new Error('more big objects are used than were made')
      return name
    },
    make: async (name, bytes) => {
      await store(driver, `/${name}`, bytes)
      return `/${name}`
    },
    delayed: async (time, work) => {
      await setFaults([{ fault: 'delay', delay: `${time}ms` }])
      try {
        return await work()
      } finally {
        await setFaults([])
      }
    },
    mounted: async (args, work) => {
      mounts += 1
      const mountpoint = join(folder, `mount${mounts}`)
      const mount = await MountedBucket.mount(owner, { server, mountpoint, args })
      try {
        return await work(mount)
      } finally {
        await mount.unmount()
      }
    },
  }
}

async function store(driver: StorageDriver, path: string, size: number): Promise<void> {
  const piece = randomBytes(16 * MiB)
  const composition = await driver.compose(path)
  const parts: Part[] = []
  for (let at = 0, number = 1; at < size; at += piece.length, number += 1) {
    const data = piece.subarray(0, Math.min(piece.length, size - at))
    parts.push(await composition.uploadPart(number, [data]))
  }
  await composition.complete(parts)
}
