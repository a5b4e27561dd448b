/**
 * A version that this mount has stored is its own, though the answer was lost: who has the file open goes on
 * from it. What another host has stored is not.
 */
import { createHash } from 'node:crypto'
import type { WriteResult } from '../../../src/driver/driver.js'
import { DriverError } from '../../../src/driver/errors.js'
import { MiB } from '../../../src/util/units.js'
import { O_CREAT, O_EXCL, O_RDWR, O_WRONLY, type OpenFile } from '../../helpers/core-os.js'
import { fails, scene, text } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'

const EXCLUSIVE = O_WRONLY | O_CREAT | O_EXCL

/** The answer to the next request that stores a file is lost, but not its effect. */
function loseAnswer({ watch }: Scene): void {
  watch.after = ({ method, path }, result) => {
    if (method !== 'putContent' && method !== 'complete') return
    watch.after = () => undefined
    throw new DriverError('no answer', { path, attempted: (result as WriteResult).etag })
  }
}

/** Makes `change` the beginning of `/f`, stores it, and gets no answer. */
async function storeUnanswered(
  s: Scene,
  { flags, before, change }: { flags: number; before: number; change: Uint8Array },
): Promise<OpenFile> {
  if (before > 0) await s.bucket.putContent('/f', Buffer.alloc(before, 'b'))
  const file = await s.os.open('/f', flags)
  loseAnswer(s)
  for (let at = 0; at < change.length; at += MiB) {
    await file.write(at, change.subarray(at, at + MiB))
  }
  await fails(s.t, 'EIO', file.fsync())
  return file
}

/** Bytes that differ from place to place. */
function pattern(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) % 251))
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

const lost = {
  'a file that must be new': { flags: EXCLUSIVE, before: 0, size: 100, errno: 'EEXIST' },
  // Its upload is gone, and what it had taken with it.
  'a large file that must be new': { flags: EXCLUSIVE, before: 0, size: 3 * MiB + 7, errno: 'EIO' },
  'a file made from another version': {
    flags: O_RDWR,
    before: 5 * MiB,
    size: 1000,
    errno: 'ESTALE',
  },
  'a large change of a file': {
    flags: O_RDWR,
    before: 5 * MiB,
    size: 3 * MiB + 7,
    errno: 'ESTALE',
  },
} as const

for (const [title, { flags, before, size, errno }] of Object.entries(lost)) {
  scene(`${title} is our own when the answer was lost and it has changed since`, async s => {
    const { t, os, bucket } = s
    const expected = Buffer.alloc(Math.max(before, size + 1), 'b')
    const change = Buffer.alloc(size, 'c')
    const file = await storeUnanswered(s, { flags, before, change })
    await file.write(size - 3, text('new!'))
    await file.fsync()
    change.copy(expected)
    expected.write('new!', size - 3)
    t.ok(expected.equals(await bucket.getContent('/f')), 'all of it is stored')
    await file.write(0, text('last'))
    await file.close()
    expected.write('last')
    t.ok(expected.equals(await os.readFile('/f')))
    t.ok(expected.equals(await bucket.getContent('/f')))
  })

  scene(`${title} is not when another host has stored something by then`, async s => {
    const { t, bucket } = s
    const change = Buffer.alloc(size, 'c')
    const file = await storeUnanswered(s, { flags, before, change })
    await bucket.putContent('/f', text('theirs'))
    await file.write(size - 3, text('new!'))
    await fails(t, errno, file.fsync())
    await file.close().catch(() => undefined)
    t.equal(String(await bucket.getContent('/f')), 'theirs')
  })
}

const SMALL = 60_000

scene('what was copied within a file is found in its own version', async s => {
  const { t, os, bucket } = s
  const expected = pattern(SMALL)
  await bucket.putContent('/f', expected)
  const file = await os.open('/f', O_RDWR)
  t.equal(await file.copyTo(file, 1000, 40_000, 9000), 9000)
  expected.copy(expected, 40_000, 1000, 10_000)
  // The bytes that were copied are there no more, but in their new place.
  await file.write(0, text('x'.repeat(20_000)))
  expected.fill('x', 0, 20_000)
  loseAnswer(s)
  await fails(t, 'EIO', file.fsync())
  await file.write(45_000, text('changed since'))
  expected.write('changed since', 45_000)
  t.ok(expected.equals(await file.read(0, SMALL)), 'read before it is stored')
  await file.close()
  t.ok(expected.equals(await bucket.getContent('/f')))
  t.ok(expected.equals(await os.readFile('/f')))
})

scene(
  'an own version is found by a reader before the next flush',
  async s => {
    const { t, os, bucket } = s
    const size = 900_000
    const expected = pattern(size)
    await bucket.putContent('/f', expected)
    const file = await os.open('/f', O_RDWR)
    const reader = await os.open('/f', 0)
    await file.write(100, text('changed'))
    expected.write('changed', 100)
    loseAnswer(s)
    await fails(t, 'EIO', file.fsync())
    await file.write(200, text('once more'))
    expected.write('once more', 200)
    t.ok(expected.equals(await reader.read(0, size)))
    await file.close()
    t.ok(expected.equals(await reader.read(0, size)), 'its holder is not stale')
    await reader.close()
  },
  // So little that nothing of the replaced version is remembered.
  { cacheMemory: 256 * 1024 },
)

scene('an unchanged file that was stored without an answer is not sent again', async s => {
  const { t, os, watch, bucket } = s
  await bucket.putContent('/f', pattern(SMALL))
  const file = await os.open('/f', O_RDWR)
  await file.write(100, text('changed'))
  loseAnswer(s)
  await fails(t, 'EIO', file.fsync())
  watch.requests.length = 0
  await file.fsync()
  t.same(
    watch.requests.map(({ method }) => method),
    ['stat'],
  )
  await file.close()
})

scene('a version that was stored later than its answer was given up is its own', async s => {
  const { t, os, watch, bucket } = s
  const expected = pattern(SMALL)
  await bucket.putContent('/f', expected)
  const file = await os.open('/f', O_RDWR)
  await file.write(100, text('first'))
  expected.write('first', 100)
  const late = Buffer.from(expected)
  watch.before = ({ method, path }) => {
    if (method !== 'putContent') return
    watch.before = () => undefined
    throw new DriverError('no answer', { path, attempted: md5(late) })
  }
  await fails(t, 'EIO', file.fsync())
  await file.write(200, text('second'))
  expected.write('second', 200)
  // It takes effect between the look at what is there and what is sent then.
  watch.before = async ({ method }) => {
    if (method !== 'putContent') return
    watch.before = () => undefined
    await bucket.putContent('/f', late)
  }
  await file.close()
  t.ok(expected.equals(await bucket.getContent('/f')))
})

scene('no part leaves while nobody knows what became of those that have left', async s => {
  const { t, os, watch, bucket } = s
  const expected = pattern(8 * MiB)
  const file = await os.open('/f', O_RDWR | O_CREAT)
  const write = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at += MiB) await file.write(at, expected.subarray(at, at + MiB))
  }
  await write(0, 3 * MiB)
  loseAnswer(s)
  await fails(t, 'EIO', file.fsync())
  watch.requests.length = 0
  await write(3 * MiB, 8 * MiB)
  t.equal(watch.count('uploadPart'), 0)
  await file.close()
  t.ok(expected.equals(await bucket.getContent('/f')))
})
