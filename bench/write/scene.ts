/**
 * What the rows of bench/write.ts measure on: an embedded server in a process of its own, fresh mounts
 * of its bucket, programs that write, and the server's log of what it was asked.
 */
import { writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '../../src/util/units.js'
import { accessesOf } from '../../test/helpers/access-log.js'
import { MountedBucket, startServer } from '../../test/helpers/bosmount.js'
import type { Server } from '../../test/helpers/bosmount.js'
import { Cleanup } from '../../test/helpers/owner.js'
import type { Owner } from '../../test/helpers/owner.js'
import { runOk } from '../../test/helpers/processes.js'
import { scratchFolder } from '../../test/helpers/scratch.js'
import { Bare } from './bare.js'
import { median, seconds } from '../measure.js'

export interface Sizes {
  /** Of the big file, in bytes. */
  readonly size: number
  /** Of each of the many files that are written at once, in bytes. */
  readonly many: number
  /** Small files of a round. */
  readonly files: number
  readonly rounds: number
}

/** What the server was asked meanwhile. */
export interface Cost {
  readonly requests: number
  /** Bytes sent to the server. */
  readonly up: number
  readonly seconds: number
}

/** What one writer is to do: the files `first`, `first + step` … below `count`. */
export interface Order {
  readonly folder: string
  readonly first: number
  readonly step: number
  readonly count: number
  readonly size: number
  readonly sync: boolean
}

const WRITER = fileURLToPath(new URL('writer.js', import.meta.url))
/** The server looks at its rules when they change, but not at once. */
const RULES_ARE_READ = 1500

export class Scene {
  readonly sizes: Sizes
  readonly owner: Owner
  readonly folder: string
  readonly server: Server
  readonly bare: Bare
  readonly #faults: string
  #mounts = 0

  private constructor(owner: Owner, sizes: Sizes, made: { folder: string; server: Server }) {
    this.owner = owner
    this.sizes = sizes
    this.folder = made.folder
    this.server = made.server
    this.bare = new Bare(made.server.endpoint)
    this.#faults = join(made.folder, 'faults.yaml')
    owner.teardown(() => this.bare.close())
  }

  /** @param args  further ones of the server */
  static async make(owner: Owner, sizes: Sizes, args: readonly string[] = []): Promise<Scene> {
    const folder = scratchFolder(owner)
    const faults = join(folder, 'faults.yaml')
    writeFileSync(faults, 'rules: []\n')
    const server = await startServer(owner, folder, ['--faults', faults, ...args])
    return new Scene(owner, sizes, { folder, server })
  }

  /** A fresh mount, with these arguments; gone before the promise of `work` settles. */
  async mounted<T>(
    args: readonly string[],
    work: (mount: MountedBucket, owner: Owner) => Promise<T>,
  ): Promise<T> {
    const owner = new Cleanup()
    this.#mounts += 1
    const mountpoint = join(this.folder, `mount-${this.#mounts}`)
    try {
      const { server } = this
      const mount = await MountedBucket.mount(owner, { server, mountpoint, args })
      const result = await work(mount, owner)
      if (!mount.process.hasEnded) await mount.unmount()
      return result
    } finally {
      await owner.finish()
    }
  }

  /** Every request takes so many milliseconds longer while `work` is under way. */
  async delayed<T>(time: number, work: () => Promise<T>): Promise<T> {
    writeFileSync(this.#faults, `rules:\n  - fault: delay\n    delay: ${time}ms\n`)
    await sleep(RULES_ARE_READ)
    try {
      return await work()
    } finally {
      writeFileSync(this.#faults, 'rules: []\n')
      await sleep(RULES_ARE_READ)
    }
  }

  async cost(work: () => Promise<unknown>): Promise<Cost> {
    const before = (await accessesOf(this.server)).length
    const time = await seconds(work)
    const made = (await accessesOf(this.server)).slice(before)
    const up = made.reduce((total, { bytesIn }) => total + bytesIn, 0)
    return { requests: made.length, up, seconds: time }
  }
}

/**
 * Each pair in turn, so that a slow minute is slow for both.
 *
 * @param before  each pair, not measured
 * @returns the medians
 */
export async function inTurn(
  rounds: number,
  one: (round: number) => Promise<unknown>,
  other: (round: number) => Promise<unknown>,
  before: () => Promise<unknown> = async () => undefined,
): Promise<readonly [number, number]> {
  const times: [number, number][] = []
  for (let round = 0; round < rounds; round += 1) {
    await before()
    times.push([await seconds(() => one(round)), await seconds(() => other(round))])
  }
  return [median(times.map(([time]) => time)), median(times.map(([, time]) => time))]
}

/** By a program of its own, as users do. */
export async function dd(path: string, bytes: number): Promise<void> {
  const args = ['if=/dev/zero', `of=${path}`, 'bs=1M', `count=${bytes / MiB}`, 'status=none']
  await runOk('dd', args, { timeout: 3600_000 })
}

/** Programs that write small files, started before anything is measured. */
export class Writers {
  readonly #processes: readonly ChildProcessByStdio<Writable, Readable, null>[]

  constructor(owner: Owner, count: number) {
    this.#processes = Array.from({ length: count }, () =>
      spawn(process.execPath, [WRITER], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    owner.teardown(() => {
      for (const each of this.#processes) each.stdin.end()
    })
  }

  /** All of them together write files 0 … count-1. */
  async write(order: Omit<Order, 'first' | 'step'>): Promise<void> {
    const step = this.#processes.length
    await Promise.all(
      this.#processes.map(async (each, first) => {
        each.stdin.write(`${JSON.stringify({ ...order, first, step })}\n`)
        await once(each.stdout, 'data')
      }),
    )
  }
}
