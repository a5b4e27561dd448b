/** A small disk for what a mount keeps locally: a tmpfs, which only root can make. */
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { KiB, MiB, type Bytes } from '../../src/util/units.js'
import type { Owner } from './owner.js'
import { runOk } from './processes.js'

/** Why a test that needs one cannot run here; undefined if it can. */
export const noFullDisk: string | undefined =
  process.getuid?.() === 0 ? undefined : 'a small disk can be mounted by root alone'

/** What a tmpfs gives at once. */
const PAGE: Bytes = 4 * KiB

export class SmallDisk {
  readonly path: string

  readonly #filler: string

  private constructor(path: string) {
    this.path = path
    this.#filler = join(path, 'full')
  }

  /** Gone at the end of the owner. */
  static async make(owner: Owner, path: string, size: Bytes): Promise<SmallDisk> {
    mkdirSync(path)
    await runOk('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
    owner.teardown(() => runOk('umount', ['-l', path]))
    return new SmallDisk(path)
  }

  /** Leaves room for nothing, whoever else is writing; names can still be made. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (let piece = Buffer.alloc(MiB); piece.length >= PAGE;) {
        if (!append(file, piece)) piece = piece.subarray(0, piece.length / 2)
      }
    } finally {
      closeSync(file)
    }
  }

  /** Takes back what `fill` has taken. */
  free(): void {
    rmSync(this.#filler, { force: true })
  }
}

/** @returns whether there was room for it, or some of it */
function append(file: number, piece: Buffer): boolean {
  try {
    return writeSync(file, piece) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}
