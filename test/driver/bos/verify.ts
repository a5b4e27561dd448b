import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { createBosDriver } from '../../../src/driver/bos/driver.js'
import { verifierOf } from '../../../src/driver/bos/verify.js'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { parseBosParameters } from '../../../src/driver/parameters.js'
import { bytes, failure, readAll } from '../helpers.js'

const CONTENT = bytes(200_000)
const MD5 = createHash('md5').update(CONTENT).digest('hex')
const CRC = { 'x-bce-content-crc32': String(crc32(CONTENT)) }

void t.test('a whole object is checked by the best that the service gives', async t => {
  const damaged = Buffer.from(CONTENT)
  damaged[100_000] = (damaged[100_000] ?? 0) ^ 1
  const etag = `"${MD5}"`
  const rows: readonly (readonly [headers: Record<string, string>, isChecked: boolean])[] = [
    [CRC, true],
    [{ 'content-md5': createHash('md5').update(CONTENT).digest('base64') }, true],
    [{ etag }, true],
    [{ etag: MD5 }, true],
    [{ etag: `"-${MD5}"` }, false],
    [{ etag, 'x-bce-object-type': 'Appendable' }, false],
    [{ etag, 'x-bce-object-type': 'Symlink' }, false],
    [{ etag, 'x-bce-server-side-encryption': 'AES256' }, false],
    [{}, false],
  ]
  for (const [headers, isChecked] of rows) {
    const check = (content: Buffer): void => {
      const verifier = verifierOf(headers)
      for (const at of [0, 1, 1, 70_000]) verifier?.update(content.subarray(at, at))
      verifier?.update(content.subarray(0, 70_000))
      verifier?.update(content.subarray(70_000))
      verifier?.check()
    }
    check(CONTENT)
    if (isChecked)
      t.throws(() => check(damaged), { message: /instead of/ }, JSON.stringify(headers))
    else check(damaged)
  }
})

/** A store whose GETs are damaged as often as asked, from a byte on. */
async function damagingStore(t: Test, headers: Record<string, string>) {
  const state = { damages: 0, at: 0, gets: 0 }
  const server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const first = Number(range?.[1] ?? 0)
    const end = Math.min(CONTENT.length, range?.[2] ? Number(range[2]) + 1 : CONTENT.length)
    const body = Buffer.from(CONTENT.subarray(first, end))
    state.gets++
    if (state.damages-- > 0) body[state.at] = (body[state.at] ?? 0) ^ 1
    response.writeHead(range === null ? 200 : 206, {
      etag: '"-e"',
      'content-length': body.length,
      ...(range === null ? {} : { 'content-range': `bytes ${first}-${end - 1}/${CONTENT.length}` }),
      ...headers,
    })
    response.end(body)
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const driver: StorageDriver = createBosDriver(
    parseBosParameters({
      accesskeyid: 'ak',
      accesskeysecret: 'sk',
      endpoint: `http://127.0.0.1:${port}`,
      bucket: 'bkt',
    }),
    { retry: { attempts: 3, baseDelay: 1 } },
  )
  t.teardown(async () => {
    await driver.close()
    server.close()
  })
  return { driver, state }
}

void t.test('a damaged download is repeated, and in the end an error', async t => {
  const { driver, state } = await damagingStore(t, CRC)
  const target = Buffer.alloc(CONTENT.length)
  const reads: readonly (() => Promise<unknown>)[] = [
    () => driver.getContent('/x'),
    () => driver.readInto('/x', target),
  ]
  for (const read of reads) {
    Object.assign(state, { damages: 2, at: 1000, gets: 0 })
    await read()
    t.equal(state.gets, 3)
    state.damages = 100
    t.match(await failure(read()), { code: 'INTEGRITY', path: '/x', message: /CRC-32/ })
    state.damages = 0
  }
  t.ok((await driver.getContent('/x')).equals(CONTENT))
})

void t.test('a stream ends with an error instead of its last bytes', async t => {
  const { driver, state } = await damagingStore(t, CRC)
  Object.assign(state, { damages: 1, at: 1000 })
  t.match(await failure(readAll(driver, '/x')), { code: 'INTEGRITY', path: '/x' })
  t.ok((await readAll(driver, '/x')).equals(CONTENT))
  const part = await readAll(driver, '/x', { offset: 5, length: 100 })
  t.ok(part.equals(CONTENT.subarray(5, 105)))
})

void t.test('what has no checksum is taken by its length', async t => {
  const { driver } = await damagingStore(t, {})
  t.ok((await driver.getContent('/x')).equals(CONTENT))
  t.ok((await readAll(driver, '/x')).equals(CONTENT))
})
