/**
 * What bench/fuse.ts does to a mount: each figure is how much of one thing is done until it is told
 * to stop.
 */
import { Buffer } from 'node:buffer'
import { closeSync, openSync, read, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GiB, KiB, MiB } from '../../src/util/units.js'

export const PARALLEL = 32

export type Figure = readonly [
  name: string,
  unit: string,
  run: (until: () => boolean) => Promise<number>,
]

/** Each returns how many units it did before `until` said so. */
export function figures(mountpoint: string): Figure[] {
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
