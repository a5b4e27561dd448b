/** Readers, writers and their bounds. */
import { InvalidOffsetError } from '../../../src/driver/errors.js'
import { MiB } from '../../../src/util/units.js'
import { bytes, failure, readAll, sha256, writeFile, writeIn } from '../../driver/helpers.js'
import { isNotFound, type Behaviour } from './subject.js'

/** With BOSMOUNT_LONG=1 the big streams are big. */
const LONG = process.env['BOSMOUNT_LONG'] === '1'

export function readers(behaviour: Behaviour): void {
  behaviour('a reader starts where it is told', async (t, driver) => {
    const content = bytes(96, 3)
    await driver.putContent('/offsets', content)
    for (const offset of [0, 32, 64, 95, 96]) {
      t.same(await readAll(driver, '/offsets', { offset }), content.subarray(offset))
    }
    t.same(await readAll(driver, '/offsets', { offset: 10, length: 20 }), content.subarray(10, 30))
    t.same(await readAll(driver, '/offsets', { offset: 90, length: 20 }), content.subarray(90))
    t.same(await readAll(driver, '/offsets', { offset: 5, length: 0 }), Buffer.alloc(0))
    const { size, stream } = await driver.reader('/offsets', { offset: 90 })
    stream.destroy()
    t.equal(size, 96, 'the size is that of the file')
  })

  behaviour('an offset before the start or past the end is invalid', async (t, driver) => {
    await driver.putContent('/offsets', bytes(96))
    await driver.putContent('/empty', Buffer.alloc(0))
    for (const [path, offset] of [
      ['/offsets', -1],
      ['/offsets', 97],
      ['/empty', 1],
    ] as const) {
      for (const call of [
        () => driver.reader(path, { offset }),
        () => driver.readInto(path, Buffer.alloc(4), { offset }),
      ]) {
        const error = await failure(call())
        if (!(error instanceof InvalidOffsetError)) throw error
        t.match(error, { path, offset, driver: driver.name })
      }
    }
  })

  behaviour('an empty file reads as nothing', async (t, driver) => {
    await driver.putContent('/empty', Buffer.alloc(0))
    t.same(await readAll(driver, '/empty'), Buffer.alloc(0))
    const result = await driver.readInto('/empty', Buffer.alloc(8))
    t.match(result, { bytesRead: 0, size: 0 })
  })

  behaviour('a range is read into memory of the caller', async (t, driver) => {
    const content = bytes(100_000, 4)
    const { etag } = await driver.putContent('/range', content)
    const target = Buffer.alloc(1000)
    for (const offset of [0, 1, 50_000, 99_000, 99_500, 100_000]) {
      target.fill(0)
      const expected = content.subarray(offset, offset + 1000)
      const result = await driver.readInto('/range', target, { offset, etag })
      t.same(result, { bytesRead: expected.length, size: content.length, etag })
      t.ok(target.subarray(0, expected.length).equals(expected))
      t.ok(target.subarray(expected.length).every(byte => byte === 0))
    }
    for (const sizes of [[10, 20], [0, 5, 0], [100_000], [99_990, 10], [50_000, 60_000, 5]]) {
      const targets = sizes.map(size => Buffer.alloc(size))
      const filled: Uint8Array[] = []
      const { bytesRead } = await driver.readInto('/range', targets, {
        filled: target => void filled.push(target),
      })
      const room = sizes.reduce((sum, size) => sum + size, 0)
      t.equal(bytesRead, Math.min(room, content.length))
      t.ok(Buffer.concat(targets).subarray(0, bytesRead).equals(content.subarray(0, bytesRead)))
      t.ok(filled.every((target, i) => target === targets[i]))
    }
    t.match(await driver.readInto('/range', Buffer.alloc(0)), { bytesRead: 0, size: 100_000 })
  })

  behaviour('a read pinned to a version never mixes in another', async (t, driver) => {
    const { etag } = await driver.putContent('/pinned', bytes(1000, 1))
    await driver.putContent('/pinned', bytes(1000, 2))
    const target = Buffer.alloc(10)
    t.match(await failure(driver.reader('/pinned', { etag })), { code: 'PRECONDITION' })
    t.match(await failure(driver.readInto('/pinned', target, { etag })), { code: 'PRECONDITION' })
    const late = driver.readInto('/pinned', target, { etag, offset: 5000 })
    t.match(await failure(late), { code: 'PRECONDITION' })
    t.ok(target.every(byte => byte === 0))
  })

  behaviour('many readers at different offsets each get their bytes', async (t, driver) => {
    const content = bytes((LONG ? 128 : 8) * MiB, 9)
    await writeFile(driver, '/shared', content)
    const offsets = Array.from({ length: 10 }, (_, i) => Math.floor((content.length * i) / 11))
    await Promise.all(
      offsets.map(async offset => {
        const read = await readAll(driver, '/shared', { offset })
        t.ok(read.equals(content.subarray(offset)), `from ${offset}`)
      }),
    )
  })

  behaviour('many ranges read at once do not disturb each other', async (t, driver) => {
    const content = bytes(4 * MiB, 10)
    await driver.putContent('/ranges', content)
    const length = 128 * 1024
    await Promise.all(
      Array.from({ length: 32 }, async (_, i) => {
        const target = Buffer.alloc(length)
        await driver.readInto('/ranges', target, { offset: i * length })
        t.ok(target.equals(content.subarray(i * length, (i + 1) * length)))
      }),
    )
  })
}

export function writers(behaviour: Behaviour): void {
  behaviour('a committed stream reads back as it was written', async (t, driver) => {
    for (const [seed, length] of [1, 32, 1000, 70_000].entries()) {
      const content = bytes(length, seed + 1)
      const writer = await driver.writer('/stream')
      await writeIn(writer, content)
      t.equal(writer.size, length)
      const result = await writer.commit()
      await writer.close()
      t.equal(result.size, length)
      t.same(await driver.getContent('/stream'), content)
      t.equal((await driver.stat('/stream')).etag, result.etag)
    }
  })

  behaviour('a large stream of odd pieces reads back byte for byte', async (t, driver) => {
    const content = bytes((LONG ? 1024 : 30) * MiB + 12_345, 11)
    const writer = await driver.writer('/large')
    await writeIn(writer, content, 1_000_003)
    t.equal(writer.size, content.length)
    await writer.commit()
    await writer.close()
    t.equal(sha256(await readAll(driver, '/large')), sha256(content))
    t.equal((await driver.stat('/large')).size, content.length)
  })

  behaviour('the writer keeps nothing of the memory it is given', async (t, driver) => {
    const scratch = Buffer.alloc(1000)
    const writer = await driver.writer('/scratch')
    for (let i = 0; i < 10; i++) await writer.write(scratch.fill(i))
    await writer.commit()
    await writer.close()
    const expected = Buffer.concat(Array.from({ length: 10 }, (_, i) => Buffer.alloc(1000, i)))
    t.same(await driver.getContent('/scratch'), expected)
  })

  behaviour('nothing shows at the path before the commit', async (t, driver) => {
    const writer = await driver.writer('/hidden/file')
    await writeIn(writer, bytes(1000))
    await isNotFound(t, driver, '/hidden/file', driver.stat('/hidden/file'))
    t.same(await driver.list('/'), [])
    await writer.cancel()
    await isNotFound(t, driver, '/hidden/file', driver.stat('/hidden/file'))
  })

  for (const [what, size] of [
    ['small', 32],
    ['large', 10 * MiB],
  ] as const) {
    behaviour(`${what} appends go on where another process stopped`, async (t, driver, subject) => {
      const pieces = [bytes(size, 1), bytes(size, 2), bytes(size, 3)]
      const first = await driver.writer('/appended')
      await writeIn(first, pieces[0] ?? Buffer.alloc(0), 256 * 1024)
      await first.close()
      t.equal(first.size, size)
      await isNotFound(t, driver, '/appended', driver.stat('/appended'))
      const second = await (await subject.reopen()).writer('/appended', { append: true })
      t.equal(second.size, size)
      await writeIn(second, pieces[1] ?? Buffer.alloc(0), 256 * 1024)
      await second.close()
      t.equal(second.size, 2 * size)
      t.same(await driver.list('/'), [])
      const third = await (await subject.reopen()).writer('/appended', { append: true })
      t.equal(third.size, 2 * size)
      await writeIn(third, pieces[2] ?? Buffer.alloc(0), 256 * 1024)
      t.equal(third.size, 3 * size)
      t.equal((await third.commit()).size, 3 * size)
      await third.close()
      t.equal(sha256(await driver.getContent('/appended')), sha256(Buffer.concat(pieces)))
      for await (const upload of driver.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
    })
  }

  behaviour('an empty committed file takes an append', async (t, driver) => {
    const writer = await driver.writer('/zero')
    await writer.commit()
    await writer.close()
    t.same(await driver.getContent('/zero'), Buffer.alloc(0))
    await driver.putContent('/zero by put', Buffer.alloc(0))
    for (const path of ['/zero', '/zero by put']) {
      const append = await driver.writer(path, { append: true })
      t.equal(append.size, 0)
      await append.write(bytes(1000, 4))
      await append.commit()
      await append.close()
      t.same(await driver.getContent(path), bytes(1000, 4))
    }
  })

  for (const [what, size] of [
    ['small', 100],
    ['large', 6 * MiB],
  ] as const) {
    behaviour(`an append to a ${what} committed file goes on behind it`, async (t, driver) => {
      await driver.putContent('/grown', bytes(size, 1))
      const writer = await driver.writer('/grown', { append: true })
      t.equal(writer.size, size)
      await writer.write(bytes(50, 2))
      t.equal(writer.size, size + 50)
      t.equal((await driver.stat('/grown')).size, size, 'readers see the old content')
      await writer.commit()
      await writer.close()
      const expected = Buffer.concat([bytes(size, 1), bytes(50, 2)])
      t.ok((await driver.getContent('/grown')).equals(expected))
    })
  }

  behaviour('a cancelled append leaves the committed file alone', async (t, driver) => {
    await driver.putContent('/kept', bytes(6 * MiB, 1))
    const writer = await driver.writer('/kept', { append: true })
    await writer.write(bytes(50, 2))
    await writer.cancel()
    t.ok((await driver.getContent('/kept')).equals(bytes(6 * MiB, 1)))
    for await (const upload of driver.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
  })

  behaviour('there must be something to append to', async (t, driver) => {
    await isNotFound(t, driver, '/nothing', driver.writer('/nothing', { append: true }))
  })

  behaviour('a fresh writer drops what an earlier one left', async (t, driver, subject) => {
    const left = await driver.writer('/restart')
    await left.write(bytes(100, 1))
    await left.close()
    const fresh = await driver.writer('/restart')
    t.equal(fresh.size, 0)
    await fresh.write(bytes(10, 2))
    await fresh.close()
    const append = await (await subject.reopen()).writer('/restart', { append: true })
    t.equal(append.size, 10)
    await append.commit()
    await append.close()
    t.same(await driver.getContent('/restart'), bytes(10, 2))
  })

  behaviour('cancelling drops what was closed before', async (t, driver, subject) => {
    const left = await driver.writer('/dropped')
    await left.write(bytes(100, 1))
    await left.close()
    const append = await (await subject.reopen()).writer('/dropped', { append: true })
    await append.cancel()
    await isNotFound(t, driver, '/dropped', driver.writer('/dropped', { append: true }))
  })

  behaviour('a writer takes no calls in the wrong state', async (t, driver) => {
    const committed = await driver.writer('/states')
    await committed.write(bytes(10))
    await committed.commit()
    t.match(await failure(committed.write(bytes(1))), { code: 'CLOSED', message: /committed/ })
    t.match(await failure(committed.commit()), { code: 'CLOSED' })
    t.match(await failure(committed.cancel()), { code: 'CLOSED' })
    await committed.close()
    t.match(await failure(committed.close()), { code: 'CLOSED', message: /closed/ })

    const cancelled = await driver.writer('/states')
    await cancelled.cancel()
    t.match(await failure(cancelled.write(bytes(1))), { code: 'CLOSED', message: /cancelled/ })
    t.match(await failure(cancelled.commit()), { code: 'CLOSED' })

    const closed = await driver.writer('/states')
    await closed.close()
    t.match(await failure(closed.write(bytes(1))), { code: 'CLOSED', message: /closed/ })
    t.match(await failure(closed.commit()), { code: 'CLOSED' })
    const last = await driver.writer('/states', { append: true })
    await last.cancel()
  })

  behaviour('a commit obeys its condition and can be cancelled after', async (t, driver) => {
    const { etag } = await driver.putContent('/guarded', bytes(10, 1))
    const create = await driver.writer('/guarded')
    await create.write(bytes(10, 2))
    t.match(await failure(create.commit({ ifNoneMatch: '*' })), { code: 'PRECONDITION' })
    t.same(await driver.getContent('/guarded'), bytes(10, 1))
    await create.cancel()
    const replace = await driver.writer('/guarded')
    await replace.write(bytes(10, 3))
    await replace.commit({ ifMatch: etag })
    await replace.close()
    t.same(await driver.getContent('/guarded'), bytes(10, 3))
  })

  behaviour('many writers at once each make their own file', async (t, driver) => {
    const [count, size] = LONG ? [32, 32 * MiB] : [8, 2 * MiB]
    const paths = Array.from({ length: count }, (_, i) => `/concurrent/${i}`)
    await Promise.all(paths.map((path, i) => writeFile(driver, path, bytes(size, i + 1))))
    for (const [i, path] of paths.entries()) {
      t.ok((await readAll(driver, path)).equals(bytes(size, i + 1)), path)
    }
  })
}
