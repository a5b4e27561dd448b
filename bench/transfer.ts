/**
 * One big file written and read cold through the mount, beside the same bytes moved by the driver
 * alone: same server (a process of its own), same part size, in turn in one run, so that the ratios
 * mean something even where the seconds do not.
 *
 *     npm run bench:transfer [-- MiB ROUNDS]
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Part, StorageDriver } from '../src/driver/driver.js'
import { MiB } from '../src/util/units.js'
import { MountedBucket, startServer } from '../test/helpers/bosmount.js'
import { openBucket } from '../test/helpers/bucket.js'
import { Cleanup } from '../test/helpers/owner.js'
import { runOk } from '../test/helpers/processes.js'
import { scratchFolder } from '../test/helpers/scratch.js'
import { median, parallel, seconds } from './measure.js'

const [sizeText = '1024', roundsText = '3'] = process.argv.slice(2)
const SIZE = Number(sizeText) * MiB
const ROUNDS = Number(roundsText)
const UPLOADS = 8
const READERS = 16
const BLOCK = MiB

interface Round {
  readonly mountWrite: number
  readonly driverWrite: number
  readonly mountRead: number
  readonly driverRead: number
}

async function writeByDriver(driver: StorageDriver, path: string): Promise<void> {
  const { partSize } = driver.partLimits
  const chunk = randomBytes(partSize)
  const composition = await driver.compose(path)
  const parts: Part[] = []
  await parallel(Math.ceil(SIZE / partSize), UPLOADS, async i => {
    const data = chunk.subarray(0, Math.min(partSize, SIZE - i * partSize))
    parts.push(await composition.uploadPart(i + 1, [data]))
  })
  parts.sort((a, b) => a.partNumber - b.partNumber)
  await composition.complete(parts)
}

async function readByDriver(driver: StorageDriver, path: string): Promise<void> {
  const { etag } = await driver.stat(path, { expect: 'file' })
  const buffers = Array.from({ length: READERS }, () => Buffer.allocUnsafeSlow(BLOCK))
  await parallel(SIZE / BLOCK, READERS, async i => {
    const target = buffers.pop() ?? Buffer.allocUnsafeSlow(BLOCK)
    const pin = etag === undefined ? {} : { etag }
    await driver.readInto(path, target, { offset: i * BLOCK, ...pin })
    buffers.push(target)
  })
}

async function measure(owner: Cleanup): Promise<Round[]> {
  const folder = scratchFolder(owner)
  const mountpoint = join(folder, 'mount')
  const server = await startServer(owner, folder)
  const driver = await openBucket(owner, server)
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = join(mountpoint, 'by-mount')
    const writer = await MountedBucket.mount(owner, { server, mountpoint })
    const count = `count=${SIZE / MiB}`
    const mountWrite = await seconds(() =>
      runOk('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', count, 'status=none'], {
        timeout: 300_000,
      }),
    )
    await writer.unmount()
    const driverWrite = await seconds(() => writeByDriver(driver, '/by-driver'))
    const reader = await MountedBucket.mount(owner, { server, mountpoint })
    const mountRead = await seconds(() =>
      runOk('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none'], { timeout: 300_000 }),
    )
    await reader.unmount()
    const driverRead = await seconds(() => readByDriver(driver, '/by-driver'))
    rounds.push({ mountWrite, driverWrite, mountRead, driverRead })
  }
  return rounds
}

function print(rounds: readonly Round[]): void {
  const of = (name: keyof Round): number => median(rounds.map(round => round[name]))
  const rate = (time: number): string => `${(SIZE / MiB / time).toFixed(0).padStart(6)} MiB/s`
  console.log(`${SIZE / MiB} MiB, median of ${rounds.length}`)
  for (const [what, mount, driver] of [
    ['write and close', of('mountWrite'), of('driverWrite')],
    ['cold read', of('mountRead'), of('driverRead')],
  ] as const) {
    const ratio = (driver / mount).toFixed(2)
    console.log(`${what.padEnd(16)} mount ${rate(mount)}   driver ${rate(driver)}   ratio ${ratio}`)
  }
}

const owner = new Cleanup()
try {
  print(await measure(owner))
} finally {
  await owner.finish()
}
