/** A small disk for what a mount keeps locally: a tmpfs, which only root can make. */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KiB, type Bytes } from '../../src/util/units.js'
import type { Owner } from './owner.js'
import { runOk } from './processes.js'

/** Why a test that needs one cannot run here; undefined if it can. */
export const noFullDisk: string | undefined =
  process.getuid?.() === 0 ? undefined : 'a small disk can be mounted by root alone'

export class SmallDisk {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Gone at the end of the owner. */
  static async make(owner: Owner, path: string, size: Bytes): Promise<SmallDisk> {
    mkdirSync(path)
    await runOk('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', path])
    owner.teardown(() => runOk('umount', ['-l', path]))
    return new SmallDisk(path)
  }

  /** Leaves room for nothing; names can still be made. */
  fill(): void {
    const { bavail, bsize } = statfsSync(this.path)
    writeFileSync(join(this.path, 'full'), Buffer.alloc(bavail * bsize))
    if (statfsSync(this.path).bavail * bsize >= 4 * KiB) throw new Error('the disk is not full')
  }
}
