/** The disk cache: what comes back, what must never, and what turns it off. */
import { execFileSync, fork } from 'node:child_process'
import { readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdir, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { StoredBlock } from '../../src/cache/block-file.js'
import { DiskCache, type DiskCacheOptions } from '../../src/cache/disk-cache.js'
import { readThroughDisk } from '../../src/cache/disk-tier.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { silentLogger } from '../../src/util/log.js'
import { MiB } from '../../src/util/units.js'
import { watched } from '../helpers/watched-driver.js'

interface Opened {
  readonly disk: DiskCache
  readonly directory: string
  readonly warnings: string[]
}

const PLENTY = async () => ({ size: 1000 * MiB, free: 900 * MiB })

async function opened(t: Test, options: Partial<DiskCacheOptions> = {}): Promise<Opened> {
  const directory = options.directory ?? join(t.testdir(), 'cache')
  const warnings: string[] = []
  const log = {
    ...silentLogger,
    warn: (_: unknown, message?: string) => void warnings.push(String(message)),
  }
  const disk = await DiskCache.open({
    capacity: 64 * MiB,
    log,
    space: PLENTY,
    ...options,
    directory,
  })
  t.teardown(() => disk.close())
  return { disk, directory, warnings }
}

/** A block whose content follows from its number. */
function block(number: number, length = 10_000): Buffer {
  return Buffer.alloc(length, `block ${number};`)
}

function id(number: number): string {
  return number.toString(16).padStart(64, '0')
}

function stored(disk: DiskCache, name: string): Promise<StoredBlock | undefined> {
  return disk.read(name, ({ data, fileSize }) => ({ data: Buffer.from(data), fileSize }))
}

/** How many blocks lie in their places. */
function blocksIn(directory: string): number {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.filter(name => /^..\/[0-9a-f]{64}$/.test(name)).length
}

function fileOf(directory: string, number: number): string {
  return join(directory, id(number).slice(0, 2), id(number))
}

void t.test('what was written comes back, also in the next process', async t => {
  const { disk, directory } = await opened(t)
  for (let i = 0; i < 20; i += 1) disk.write(id(i), block(i), 12_345)
  await disk.settled()
  t.same(await stored(disk, id(7)), { data: block(7), fileSize: 12_345 })
  t.equal(await stored(disk, id(99)), undefined)
  await disk.close()
  const next = await opened(t, { directory })
  for (let i = 0; i < 20; i += 1) t.same((await stored(next.disk, id(i)))?.data, block(i))
  t.equal(next.disk.size, disk.size)
})

void t.test('its folder is for its owner alone', async t => {
  const { disk, directory } = await opened(t)
  disk.write(id(1), block(1), 1)
  await disk.settled()
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(fileOf(directory, 1)).mode & 0o777, 0o600)
})

void t.test('a damaged file is no block', async t => {
  const damages: Record<string, (path: string, other: string) => void | Promise<void>> = {
    'a bit': path => {
      const file = readFileSync(path)
      file[5000] = (file[5000] ?? 0) ^ 1
      writeFileSync(path, file)
    },
    'the size of the file': path => {
      const file = readFileSync(path)
      file[13] = (file[13] ?? 0) ^ 1
      writeFileSync(path, file)
    },
    'a shorter one': path => truncate(path, 6000),
    'an empty one': path => truncate(path, 0),
    'a longer one': path => writeFileSync(path, Buffer.concat([readFileSync(path), block(3)])),
    'another block': (path, other) => writeFileSync(path, readFileSync(other)),
    'none at all': path => rm(path),
  }
  for (const [what, damage] of Object.entries(damages)) {
    await t.test(what, async t => {
      const { disk, directory } = await opened(t)
      disk.write(id(1), block(1), 10_000)
      disk.write(id(2), block(2), 10_000)
      await disk.settled()
      await damage(fileOf(directory, 1), fileOf(directory, 2))
      t.equal(await stored(disk, id(1)), undefined)
      t.notOk(disk.has(id(1)))
      t.notOk(disk.isOff)
      t.same((await stored(disk, id(2)))?.data, block(2), 'others are not concerned')
      disk.write(id(1), block(1), 10_000)
      await disk.settled()
      t.same((await stored(disk, id(1)))?.data, block(1), 'and it can be written again')
    })
  }
})

void t.test('two processes never use one folder', async t => {
  const { disk, directory } = await opened(t)
  await t.rejects(opened(t, { directory }), { message: /in use by another mount; give each/ })
  await t.rejects(opened(t, { directory: join(directory, '..', 'cache', '.') }), /in use/)
  await disk.close()
  await opened(t, { directory })
})

void t.test('a folder that cannot be used is refused', async t => {
  const directory = join(t.testdir({ file: 'x' }), 'file')
  await t.rejects(opened(t, { directory }))
})

void t.test('it keeps to its size, and drops what was used least lately', async t => {
  const { disk, directory } = await opened(t, { capacity: 105_000 })
  for (let i = 0; i < 10; i += 1) disk.write(id(i), block(i), 1)
  await disk.settled()
  await stored(disk, id(0))
  disk.write(id(10), block(10), 1)
  await disk.settled()
  t.ok(disk.has(id(0)))
  t.notOk(disk.has(id(1)))
  t.ok(disk.size <= 105_000)
  const files = readdirSync(join(directory, '00'))
  t.notOk(files.includes(id(1)), 'its file goes too')
  t.ok(files.includes(id(0)))
})

void t.test('a folder that is larger than it may be is made smaller, file by file', async t => {
  const { disk, directory } = await opened(t)
  for (let i = 0; i < 300; i += 1) disk.write(id(i), block(i), 1)
  await disk.settled()
  await disk.close()
  const next = await opened(t, { directory, capacity: 105_000 })
  t.ok(blocksIn(directory) > 200, 'nobody waits for it')
  t.ok(next.disk.size <= 105_000)
  await next.disk.settled()
  t.equal(blocksIn(directory), 10)
  // What is dropped and written anew at once is there.
  next.disk.write(id(0), block(0), 1)
  next.disk.write(id(1), block(1), 1)
  await next.disk.settled()
  t.same((await stored(next.disk, id(1)))?.data, block(1))
  t.equal(blocksIn(directory), 10)
  t.notOk(next.disk.isOff)
})

void t.test('a full disk is left alone, and room is made on it', async t => {
  let free = 500 * MiB
  const space = async () => ({ size: 1000 * MiB, free })
  const { disk, directory } = await opened(t, { space })
  for (let i = 0; i < 10; i += 1) disk.write(id(i), block(i), 1)
  await disk.settled()
  await disk.close()
  free = 100 * MiB - 35_000
  const next = await opened(t, { directory, space })
  next.disk.write(id(10), block(10), 1)
  await next.disk.settled()
  t.notOk(next.disk.has(id(10)))
  t.equal(next.disk.size, 6 * 10_020, 'four are dropped to make room')
  t.notOk(next.disk.isOff)
  t.same(next.warnings, [])
})

void t.test('a disk that fails turns it off, with one warning', async t => {
  const { disk, directory, warnings } = await opened(t)
  disk.write(id(1), block(1), 1)
  await disk.settled()
  writeFileSync(join(directory, 'ff'), 'in the way')
  for (const name of ['ff01', 'ff02']) disk.write(name.padEnd(64, '0'), block(1), 1)
  await disk.settled()
  t.ok(disk.isOff)
  t.equal(warnings.length, 1)
  t.notOk(disk.has(id(1)))
  t.equal(await stored(disk, id(1)), undefined)
})

void t.test('a disk that hangs turns it off, and holds nobody up', async t => {
  const { disk, directory, warnings } = await opened(t, { patience: 500 })
  disk.write(id(1), block(1), 1)
  await disk.settled()
  const path = fileOf(directory, 1)
  await rm(path)
  // Opening a pipe waits until somebody writes to it.
  execFileSync('mkfifo', [path])
  t.equal(await stored(disk, id(1)), undefined)
  t.ok(disk.isOff)
  t.equal(warnings.length, 1)
  writeFileSync(path, '')
})

void t.test(
  'a process that stood still for a while does not take that for a disk that hangs',
  async t => {
    const { disk, warnings } = await opened(t, { patience: 1000 })
    disk.write(id(1), block(1), 1)
    await disk.settled()
    const reading = stored(disk, id(1))
    // As in a container that is frozen.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1100)
    t.same((await reading)?.data, block(1))
    t.notOk(disk.isOff)
    t.same(warnings, [])
  },
)

void t.test('a read that comes late is written to nobody', async t => {
  const { disk, directory } = await opened(t, { patience: 500 })
  for (const number of [1, 2]) disk.write(id(number), block(number), 1)
  await disk.settled()
  const path = fileOf(directory, 1)
  const file = readFileSync(path)
  await rm(path)
  execFileSync('mkfifo', [path])
  let used = 0
  t.equal(await disk.read(id(1), () => (used += 1)), undefined)
  writeFileSync(path, file)
  await sleep(50)
  t.equal(used, 0)
})

void t.test(
  'the next process knows which blocks were used an hour after they were written',
  async t => {
    const { disk, directory } = await opened(t)
    for (let i = 0; i < 10; i += 1) disk.write(id(i), block(i), 1)
    await disk.settled()
    await disk.close()
    for (let i = 0; i < 10; i += 1) utimesSync(fileOf(directory, i), 1000 + i, 1000 + i)
    const second = await opened(t, { directory })
    await stored(second.disk, id(0))
    await second.disk.close()
    const third = await opened(t, { directory, capacity: 20_040 })
    t.ok(third.disk.has(id(0)))
    t.ok(third.disk.has(id(9)))
    t.notOk(third.disk.has(id(1)))
  },
)

void t.test('a folder that somebody has emptied is filled again', async t => {
  const { disk, directory } = await opened(t)
  disk.write(id(1), block(1), 1)
  await disk.settled()
  await rm(join(directory, '00'), { recursive: true })
  disk.write(id(2), block(2), 1)
  await disk.settled()
  t.same((await stored(disk, id(2)))?.data, block(2))
  t.equal(await stored(disk, id(1)), undefined)
  t.notOk(disk.isOff)
})

void t.test('what a killed process leaves is right or nothing', async t => {
  const directory = join(t.testdir(), 'cache')
  await mkdir(directory)
  for (let round = 0; round < 3; round += 1) {
    const child = fork(new URL('../helpers/write-to-disk-cache.js', import.meta.url), [directory])
    await new Promise<void>(started => child.once('message', () => started()))
    // The first blocks are on disk, and others are under way.
    while (blocksIn(directory) < 1 + 20 * round) await sleep(1)
    const gone = new Promise<void>(exited => child.once('exit', () => exited()))
    child.kill('SIGKILL')
    await gone
    const { disk, warnings } = await opened(t, { directory })
    let found = 0
    for (let i = 0; i < 5000; i += 1) {
      const kept = await stored(disk, id(i))
      if (kept === undefined) continue
      found += 1
      if (!kept.data.equals(block(i))) t.fail(`block ${i} is another`)
    }
    t.ok(found > 0)
    t.same(warnings, [], 'and nothing half done is in its place')
    t.same(readdirSync(join(directory, 'new')), [])
    await disk.close()
  }
})

void t.test('reads through it ask only for what it lacks', async t => {
  const { disk, directory } = await opened(t)
  const bucket = createMemoryDriver()
  const watch = watched(bucket)
  const content = Buffer.concat([block(1), block(2), block(3), block(4)])
  const { etag } = await bucket.putContent('/f', content)
  const targets = (): Buffer[] => [1, 2, 3, 4].map(() => Buffer.alloc(10_000))
  const reader = readThroughDisk(watch.driver, disk, 'here')
  const first = targets()
  const told: Uint8Array[] = []
  const filled = (target: Uint8Array): void => {
    told.push(Buffer.from(target))
    // Whoever is told may use it for something else at once.
    target.fill(0)
  }
  const result = await reader.readInto('/f', first, { etag, filled })
  t.match(result, { bytesRead: 40_000, size: 40_000, etag })
  t.same(Buffer.concat(told), content)
  await disk.settled()
  const second = targets()
  t.match(await reader.readInto('/f', second, { etag }), { bytesRead: 40_000, size: 40_000 })
  t.same(Buffer.concat(second), content)
  t.equal(watch.count('readInto'), 1)
  // Of two that are gone and not neighbours, each is asked for.
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  const paths = files.filter(name => name.length > 60).map(name => join(directory, name))
  for (const path of paths) {
    const held = readFileSync(path)
    if (held.includes('block 2') || held.includes('block 4')) await rm(path)
  }
  const third = targets()
  await reader.readInto('/f', third, { etag })
  t.same(Buffer.concat(third), content)
  t.equal(watch.count('readInto'), 3)
})

void t.test('another version, bucket, path or place is another block', async t => {
  const { disk } = await opened(t)
  const bucket = createMemoryDriver()
  const watch = watched(bucket)
  const read = async (path: string, source = 'here', offset = 0): Promise<string> => {
    const { etag = '' } = await bucket.stat(path)
    const target = Buffer.alloc(3)
    await readThroughDisk(watch.driver, disk, source).readInto(path, target, { etag, offset })
    await disk.settled()
    return String(target)
  }
  await bucket.putContent('/f', Buffer.from('abcdef'))
  await bucket.putContent('/g', Buffer.from('abcdef'))
  t.equal(await read('/f'), 'abc')
  t.equal(await read('/f', 'here', 3), 'def')
  t.equal(await read('/g'), 'abc')
  t.equal(await read('/f', 'there'), 'abc')
  await bucket.putContent('/f', Buffer.from('ABCDEF'))
  t.equal(await read('/f'), 'ABC')
  t.equal(watch.count('readInto'), 5)
})

void t.test('without a version nothing is read from it, and failures pass', async t => {
  const { disk } = await opened(t)
  const bucket = createMemoryDriver()
  const { etag } = await bucket.putContent('/f', Buffer.from('abc'))
  const reader = readThroughDisk(bucket, disk, 'here')
  await reader.readInto('/f', Buffer.alloc(3))
  await disk.settled()
  t.equal(disk.size, 0)
  await t.rejects(reader.readInto('/f', Buffer.alloc(3), { etag: 'other' }), {
    code: 'PRECONDITION',
  })
  await t.rejects(reader.readInto('/none', Buffer.alloc(3), { etag }), { code: 'PATH_NOT_FOUND' })
  await disk.settled()
  t.equal(disk.size, 0)
})
