/**
 * What the rows of bench/read.ts measure on: an embedded server in a process of its own, with one big
 * object and many copies of a smaller one, and fresh mounts of its bucket.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createBosDriver } from '../../src/driver/bos/driver.js'
import type { Part, StorageDriver } from '../../src/driver/driver.js'
import { parseBosParameters } from '../../src/driver/parameters.js'
import { MiB } from '../../src/util/units.js'
import {
  ACCESS_KEY_ID,
  BUCKET,
  environment,
  MountedBucket,
  PROGRAM,
  SECRET_ACCESS_KEY,
  type Server,
} from '../../test/helpers/bosmount.js'
import type { Owner } from '../../test/helpers/owner.js'
import { Background, runOk } from '../../test/helpers/processes.js'
import { scratchFolder } from '../../test/helpers/scratch.js'

/** So many files of a sixteenth of the big one's size. */
export const FILES = 32

export interface Scene {
  readonly owner: Owner
  readonly folder: string
  readonly mountpoint: string
  readonly driver: StorageDriver
  /** Of the big object. */
  readonly size: number
  /** Requests take so much longer from now on. */
  delay(time: number): Promise<void>
  /** A fresh mount, gone before the promise of `work` settles. */
  mounted<T>(args: readonly string[], work: (mount: MountedBucket) => Promise<T>): Promise<T>
}

export const CLIENT = fileURLToPath(new URL('client.js', import.meta.url))

/** Runs a command of client.ts. */
export async function client<T>(...args: readonly string[]): Promise<T> {
  const { text } = await runOk(process.execPath, [CLIENT, ...args], { timeout: 300_000 })
  return JSON.parse(text) as T
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

export async function dd(path: string, blockSize = '1M'): Promise<void> {
  const args = [`if=${path}`, 'of=/dev/null', `bs=${blockSize}`, 'status=none']
  await runOk('dd', args, { timeout: 300_000 })
}

/** Drops what the kernel has of a file in its page cache. */
export async function dropPages(path: string): Promise<void> {
  await runOk('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none'])
}

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

export async function makeScene(owner: Owner, size: number): Promise<Scene> {
  const folder = scratchFolder(owner)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const faults = join(folder, 'faults.json')
  writeFileSync(faults, '[]')
  const server = await startServer(owner, folder, faults)
  const driver = createBosDriver(
    parseBosParameters({
      accesskeyid: ACCESS_KEY_ID,
      accesskeysecret: SECRET_ACCESS_KEY,
      region: 'bj',
      bucket: BUCKET,
      endpoint: server.endpoint,
      secure: false,
    }),
  )
  owner.teardown(() => driver.close())
  await store(driver, '/big', size)
  await store(driver, '/file0', size / 16)
  for (let i = 1; i < FILES; i += 1) await driver.copy('/file0', `/file${i}`)
  return {
    owner,
    folder,
    mountpoint,
    driver,
    size,
    async delay(time) {
      const rule = { operation: 'GetObject', fault: 'delay', delay: `${time}ms` }
      writeFileSync(faults, JSON.stringify(time === 0 ? [] : [rule]))
      // The server looks at the file when it changes.
      await sleep(1500)
    },
    async mounted(args, work) {
      const mount = await MountedBucket.mount(owner, { server, mountpoint, args })
      try {
        return await work(mount)
      } finally {
        await mount.unmount()
      }
    },
  }
}

async function startServer(owner: Owner, folder: string, faults: string): Promise<Server> {
  const place = ['--data-dir', join(folder, 'server'), '--listen', '127.0.0.1:0']
  const accessLog = join(folder, 'access.log')
  const more = ['--bucket', BUCKET, '--faults', faults, '--access-log', accessLog]
  const process_ = new Background(owner, process.execPath, [PROGRAM, 'serve', ...place, ...more], {
    env: environment(),
  })
  const [, endpoint = ''] = await process_.waitFor(/listening on (http:\/\/\S+)/)
  return { endpoint, accessLog, process: process_ }
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
