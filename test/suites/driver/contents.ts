/** Whole files: names, contents, conditions. */
import {
  InvalidPathError,
  PathNotFoundError,
  PathTooLongError,
} from '../../../src/driver/errors.js'
import { bytes, failure, readAll } from '../../driver/helpers.js'
import { isNotFound, type Behaviour } from './subject.js'

const VALID_PATHS = [
  '/a',
  '/2',
  '/aa',
  '/a.a',
  '/0-9/abcdefg',
  '/abcdefg/z.75',
  '/abc/1.2.3.4.5-6_zyx/123.z/4',
  '/docker/docker-registry',
  '/123.abc',
  '/abc./abc',
  '/.abc',
  '/a--b',
  '/a-.b',
  '/_.abc',
  '/Docker/docker-registry',
  '/Abc/Cba',
  '/with space/and+plus&amp%20=#?;:@!()*\'"',
  '/汉字/ünïcode/😀.txt',
  '/..a/b../...',
]

const INVALID_PATHS = [
  '',
  '/',
  'abc',
  '123.abc',
  '//bcd',
  '/abc_123/',
  '/a//b',
  '/a/../b',
  '/a/.',
  '/nul\0',
  `/${'x'.repeat(256)}`,
  `/${`${'y'.repeat(200)}/`.repeat(6)}z`,
  '/lone\ud800surrogate',
  '/.bosmount/tails',
]

const ODD_CONTENTS: readonly (readonly [string, Buffer])[] = [
  ['one byte', Buffer.from('a')],
  ['no byte', Buffer.alloc(0)],
  ['NUL bytes', Buffer.from('\0')],
  ['line ends', Buffer.from('\n')],
  ['bytes that are not UTF-8', Buffer.from([0x80, 0x81, 0x82, 0x83, 0xff, 0xfe])],
  ['the bytes of an archive head', Buffer.from([0x50, 0x4b, 0x03, 0x04, 0, 0])],
  ['32 random bytes', bytes(32, 7)],
  ['text that looks like an error', Buffer.from('{"code":"NoSuchKey","message":"no"}')],
]

export function contents(behaviour: Behaviour): void {
  behaviour('names of every legal shape are stored and found again', async (t, driver) => {
    for (const [seed, path] of VALID_PATHS.entries()) {
      const content = bytes(64, seed + 1)
      await driver.putContent(path, content)
      t.same(await driver.getContent(path), content, path)
      const info = await driver.stat(path)
      t.equal(info.path, path)
    }
  })

  behaviour('names that are no paths are refused everywhere', async (t, driver) => {
    for (const path of INVALID_PATHS) {
      const reserved = path.startsWith('/.bosmount')
      const put = await failure(driver.putContent(path, Buffer.from('x')))
      t.ok(put instanceof InvalidPathError, `putContent ${JSON.stringify(path)}`)
      if (put instanceof InvalidPathError) t.match(put.message, driver.name)
      t.throws(() => driver.checkPath(path), { code: 'INVALID_PATH', path })
      t.ok((await failure(driver.writer(path))) instanceof InvalidPathError)
      t.ok((await failure(driver.compose(path))) instanceof InvalidPathError)
      const get = await failure(driver.getContent(path))
      t.ok(get instanceof (reserved ? PathNotFoundError : InvalidPathError))
      const remove = await failure(driver.delete(path))
      t.ok(remove instanceof (reserved ? PathNotFoundError : InvalidPathError))
    }
  })

  behaviour('a path can be checked before anything is made', async (t, driver) => {
    for (const path of VALID_PATHS) t.doesNotThrow(() => driver.checkPath(path))
    const long = [
      `/${'x'.repeat(256)}`,
      `/${'ü'.repeat(128)}`,
      `/${`${'y'.repeat(200)}/`.repeat(6)}z`,
    ]
    for (const path of long) t.throws(() => driver.checkPath(path), PathTooLongError)
    t.same(await driver.list('/'), [])
  })

  behaviour('a content comes back as it was put', async (t, driver) => {
    for (const [what, content] of ODD_CONTENTS) {
      const result = await driver.putContent('/content', content)
      t.equal(result.size, content.length)
      t.same(await driver.getContent('/content'), content, what)
      t.same(await readAll(driver, '/content'), content, `${what}, streamed`)
      t.equal((await driver.stat('/content')).size, content.length)
      t.equal((await driver.stat('/content')).etag, result.etag)
    }
  })

  behaviour('a content given in several pieces is stored as one', async (t, driver) => {
    const pieces = [bytes(10, 1), bytes(0, 2), bytes(100_000, 3)]
    await driver.putContent('/pieces', pieces)
    t.same(await driver.getContent('/pieces'), Buffer.concat(pieces))
  })

  behaviour('a shorter content replaces a longer one completely', async (t, driver) => {
    for (const [long, short] of [
      [1024 * 1024, 1024],
      [4096, 2048],
    ] as const) {
      await driver.putContent('/replaced', bytes(long, 1))
      await driver.putContent('/replaced', bytes(short, 2))
      t.same(await driver.getContent('/replaced'), bytes(short, 2))
    }
  })

  behaviour('reading what is not there is path not found', async (t, driver) => {
    await isNotFound(t, driver, '/no/such', driver.getContent('/no/such'))
    await isNotFound(t, driver, '/no/such', driver.reader('/no/such'))
    await isNotFound(t, driver, '/no/such', driver.reader('/no/such', { offset: 64 }))
    await isNotFound(t, driver, '/no/such', driver.readInto('/no/such', Buffer.alloc(8)))
  })

  behaviour('a path below a file is not there', async (t, driver) => {
    await driver.putContent('/file', bytes(10))
    await isNotFound(t, driver, '/file/below', driver.getContent('/file/below'))
    await isNotFound(t, driver, '/file/below', driver.stat('/file/below'))
  })

  behaviour('a put that shall create fails when the path exists', async (t, driver) => {
    const { etag } = await driver.putContent('/once', bytes(10, 1), { ifNoneMatch: '*' })
    const error = await failure(driver.putContent('/once', bytes(10, 2), { ifNoneMatch: '*' }))
    t.match(error, { code: 'PRECONDITION', path: '/once' })
    t.same(await driver.getContent('/once'), bytes(10, 1))
    t.equal((await driver.stat('/once')).etag, etag)
  })

  behaviour('a put that names a version fails when another is there', async (t, driver) => {
    const first = await driver.putContent('/version', bytes(10, 1))
    const second = await driver.putContent('/version', bytes(10, 2), { ifMatch: first.etag })
    const late = driver.putContent('/version', bytes(10, 3), { ifMatch: first.etag })
    t.match(await failure(late), { code: 'PRECONDITION' })
    t.same(await driver.getContent('/version'), bytes(10, 2))
    t.equal((await driver.stat('/version')).etag, second.etag)
    const absent = driver.putContent('/absent', bytes(10), { ifMatch: first.etag })
    t.match(await failure(absent), { code: 'PRECONDITION' })
  })

  behaviour('one of many that create a path at once wins', async (t, driver, subject) => {
    const other = await subject.reopen()
    const attempts = Array.from({ length: 8 }, (_, i) =>
      (i % 2 === 0 ? driver : other).putContent('/race', bytes(100, i), { ifNoneMatch: '*' }),
    )
    const settled = await Promise.allSettled(attempts)
    const winners = settled.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []))
    t.equal(winners.length, 1)
    t.same(await driver.getContent('/race'), bytes(100, winners[0]))
  })

  behaviour('an aborted signal stops every call before it does anything', async (t, driver) => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    const calls = [
      driver.putContent('/aborted', bytes(1), { signal }),
      driver.getContent('/aborted', { signal }),
      driver.reader('/aborted', { signal }),
      driver.stat('/aborted', { signal }),
      driver.list('/', { signal }),
      driver.move('/aborted', '/b', { signal }),
      driver.delete('/aborted', { signal }),
      driver.writer('/aborted', { signal }),
      driver.compose('/aborted', { signal }),
      driver.makeDirectory('/aborted', { signal }),
    ]
    for (const call of calls) t.equal(await failure(call), reason)
    t.same(await driver.list('/'), [])
  })

  behaviour('a redirect serves the bytes by GET and the length by HEAD', async (t, driver) => {
    const content = bytes(32, 5)
    await driver.putContent('/redirect me', content)
    const get = await driver.redirectURL('/redirect me', { method: 'GET' })
    const head = await driver.redirectURL('/redirect me', { method: 'HEAD' })
    t.equal(get !== undefined, driver.capabilities.redirects)
    if (get === undefined || head === undefined) return
    const fetched = await fetch(get)
    t.same(Buffer.from(await fetched.arrayBuffer()), content)
    const asked = await fetch(head, { method: 'HEAD' })
    t.equal(asked.status, 200)
    t.equal(asked.headers.get('content-length'), '32')
  })
}
