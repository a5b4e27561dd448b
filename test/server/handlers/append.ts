import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { dataFiles, md5Of, seededBytes, startHarness } from '../../helpers/bos-harness.js'

async function startAppending(t: Test) {
  const harness = await startHarness(t)
  const { client } = harness
  const append = async (body: string | Uint8Array, offset?: number, headers = {}) =>
    await client.call('POST', {
      key: 'k',
      query: { append: '', ...(offset === undefined ? {} : { offset: String(offset) }) },
      body,
      headers,
    })
  return { ...harness, append }
}

void t.test('an object is made and grows by appending at its end', async t => {
  const { client, append, directory } = await startAppending(t)
  const pieces = [seededBytes(10), seededBytes(100_000), seededBytes(20_000)]
  let whole = Buffer.alloc(0)
  for (const piece of pieces) {
    const reply = await append(piece, whole.length)
    whole = Buffer.concat([whole, piece])
    t.match(reply, {
      status: 200,
      headers: {
        etag: `"${md5Of(whole)}"`,
        'x-bce-next-append-offset': String(whole.length),
        'x-bce-content-crc32': String(crc32(whole)),
      },
    })
  }
  t.ok((await client.call('GET', { key: 'k' })).body.equals(whole))
  const head = await client.call('HEAD', { key: 'k' })
  t.match(head.headers, {
    'x-bce-object-type': 'Appendable',
    'x-bce-next-append-offset': String(whole.length),
    'content-md5': Buffer.from(md5Of(whole), 'hex').toString('base64'),
  })
  await client.call('DELETE', { key: 'k' })
  t.strictSame(dataFiles(directory), [])
})

void t.test('without an offset an append replaces whatever is there', async t => {
  const { client, append } = await startAppending(t)
  await client.call('PUT', { key: 'k', body: 'normal' })
  t.equal((await append('new')).status, 200)
  t.equal((await append('newer')).headers['x-bce-next-append-offset'], '5')
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'newer')
})

void t.test('an offset of 0 makes an object that is not there', async t => {
  const { append } = await startAppending(t)
  t.equal((await append('x', 0)).status, 200)
  t.match(await append('x', 0), { status: 409, code: 'OffsetIncorrect' })
})

void t.test('an append that does not fit is refused and leaves nothing behind', async t => {
  const { client, append, directory } = await startAppending(t)
  const body = seededBytes(50_000)
  t.match(await append(body, 5), { status: 404, code: 'NoSuchKey' })
  await client.call('PUT', { key: 'k', body: 'hello' })
  t.match(await append(body, 5), { status: 403, code: 'ObjectUnappendable' })
  await append('hello')
  const wrong = await append(body, 4)
  t.match(wrong, { status: 409, code: 'OffsetIncorrect' })
  t.equal(wrong.headers['x-bce-next-append-offset'], '5')
  t.match(await append(body, 5, { 'content-md5': md5Of(Buffer.of()).slice(0, 22) }), {
    code: 'BadDigest',
  })
  t.strictSame(dataFiles(directory), [])
})

void t.test('of appends at the same offset one wins', async t => {
  const { client, append } = await startAppending(t)
  await append('start')
  const bodies = ['aa', 'bb', 'cc', 'dd'].map(text => text.repeat(10_000))
  const replies = await Promise.all(bodies.map(async body => await append(body, 5)))
  t.strictSame(
    replies.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 409, 409, 409],
  )
  const winner = bodies[replies.findIndex(({ status }) => status === 200)]
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), `start${winner}`)
})

void t.test(
  'an append whose object is replaced meanwhile is refused, and nothing breaks',
  async t => {
    const { client, append, directory } = await startAppending(t)
    const size = 300_000
    for (let round = 0; round < 8; round += 1) {
      await append(seededBytes(size))
      const [appended, ...others] = await Promise.all([
        append(seededBytes(size + round), size),
        client.call('PUT', { key: 'k', body: seededBytes(100_000 + round * 30_000) }),
        client.call('GET', { key: 'k' }),
      ])
      t.ok([200, 403, 409].includes(appended.status), `${appended.status}`)
      t.strictSame(
        others.map(({ status }) => status),
        [200, 200],
      )
      await client.call('DELETE', { key: 'k' })
    }
    t.strictSame(dataFiles(directory), [])
  },
)

void t.test('metadata is set by the first append and kept by the others', async t => {
  const { client, append } = await startAppending(t)
  await append('a', 0, { 'x-bce-meta-a': '1' })
  await append('b', 1, { 'x-bce-meta-a': '2', 'content-type': 'text/x' })
  const { headers } = await client.call('HEAD', { key: 'k' })
  t.match(headers, { 'x-bce-meta-a': '1', 'content-type': 'application/octet-stream' })
})

void t.test(
  'a PUT makes it a normal object, a copy elsewhere too, a self-copy does not',
  async t => {
    const { client, append } = await startAppending(t)
    await append('abc')
    const copy = async (key: string) =>
      await client.call('PUT', {
        key,
        headers: {
          'x-bce-copy-source': '/test-bucket/k',
          'x-bce-metadata-directive': 'replace',
          'x-bce-meta-a': '1',
        },
      })
    const type = async (key: string) =>
      (await client.call('HEAD', { key })).headers['x-bce-object-type']
    await copy('other')
    t.equal(await type('other'), 'Normal')
    await copy('k')
    t.equal(await type('k'), 'Appendable')
    t.equal((await append('d', 3)).status, 200)
    await client.call('PUT', { key: 'k', body: 'x' })
    t.equal(await type('k'), 'Normal')
  },
)

void t.test('an append does not read what is there already', async t => {
  const { client, append, directory } = await startAppending(t)
  const piece = seededBytes(50_000)
  await append(piece, 0)
  await append(piece, piece.length)
  for (const name of dataFiles(directory)) rmSync(join(directory, 'data', name))
  const third = await append(piece, 2 * piece.length)
  const whole = Buffer.concat([piece, piece, piece])
  t.match(third, { status: 200, headers: { etag: `"${md5Of(whole)}"` } })
  const head = await client.call('HEAD', { key: 'k' })
  t.equal(head.headers['content-length'], String(whole.length))
})

void t.test('pieces of every size join up, in the order of their appends', async t => {
  const { client, append } = await startAppending(t)
  let whole = Buffer.alloc(0)
  for (const size of [1, 20_000, 0, 5, 100_000, 300, 16_384]) {
    const piece = seededBytes(size)
    await append(piece, whole.length)
    whole = Buffer.concat([whole, piece])
  }
  t.ok((await client.call('GET', { key: 'k' })).body.equals(whole))
  const range = { headers: { range: 'bytes=19990-120400' } }
  const part = await client.call('GET', { key: 'k', ...range })
  t.ok(part.body.equals(whole.subarray(19_990, 120_401)))
})
