import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { dataFiles, md5Of, seededBytes, startHarness } from '../../helpers/bos-harness.js'

void t.test('a PUT answers with the checksums of what it stored', async t => {
  const { client } = await startHarness(t)
  const body = Buffer.from('hello')
  const put = await client.call('PUT', { key: 'k', body })
  t.equal(put.status, 200)
  t.equal(put.body.length, 0)
  t.equal(put.headers.etag, '"5d41402abc4b2a76b9719d911017c592"')
  t.equal(put.headers['content-md5'], 'XUFAKrxLKna5cZ2REBfFkg==')
  t.equal(put.headers['x-bce-content-crc32'], String(crc32(body)))
  t.equal(put.headers.server, 'BceBos')
  t.match(put.headers['x-bce-request-id'], /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
  t.ok(put.headers['x-bce-debug-id'])
  t.ok(Date.parse(put.headers.date ?? '') > 0)
})

void t.test('GET and HEAD give what PUT stored, body apart', async t => {
  const now = Date.parse('2024-05-01T10:00:00.700Z')
  const { client } = await startHarness(t, { now: () => now })
  const headers = {
    'content-type': 'application/x-test',
    'cache-control': 'no-cache',
    'content-disposition': 'attachment',
    'content-encoding': 'identity',
    'x-bce-meta-Colour': 'blue',
    'x-bce-storage-class': 'STANDARD_IA',
  }
  await client.call('PUT', { key: 'k', body: 'hello', headers })
  for (const method of ['GET', 'HEAD']) {
    const reply = await client.call(method, { key: 'k' })
    t.equal(reply.status, 200)
    t.equal(reply.body.toString(), method === 'GET' ? 'hello' : '')
    t.match(reply.headers, {
      'content-length': '5',
      'content-type': 'application/x-test',
      'cache-control': 'no-cache',
      'content-disposition': 'attachment',
      'content-encoding': 'identity',
      'x-bce-meta-colour': 'blue',
      'x-bce-storage-class': 'STANDARD_IA',
      'x-bce-object-type': 'Normal',
      'x-bce-content-crc32': String(crc32('hello')),
      'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==',
      'last-modified': 'Wed, 01 May 2024 10:00:00 GMT',
      'accept-ranges': 'bytes',
      expires: 'Sat, 04 May 2024 10:00:00 GMT',
    })
  }
})

void t.test('bodies of every size come back whole and in ranges', async t => {
  const { client } = await startHarness(t)
  const MiB = 1024 * 1024
  for (const size of [0, 1, 16 * 1024, 16 * 1024 + 1, 512 * 1024, MiB, 2 * MiB, 3 * MiB + 17]) {
    const body = seededBytes(size)
    const put = await client.call('PUT', { key: 'k', body })
    t.equal(put.headers.etag, `"${md5Of(body)}"`)
    const get = await client.call('GET', { key: 'k' })
    t.equal(get.status, 200)
    t.ok(get.body.equals(body), `${size} bytes`)
    if (size < 20) continue
    for (const [first, last] of [
      [0, 0],
      [1, 10],
      [size - 7, size - 1],
      [(size / 3) | 0, size - 2],
    ] as const) {
      const headers = { range: `bytes=${first}-${last}` }
      const part = await client.call('GET', { key: 'k', headers })
      t.equal(part.status, 206)
      t.equal(part.headers['content-range'], `bytes ${first}-${last}/${size}`)
      t.ok(part.body.equals(body.subarray(first, last + 1)), `${first}-${last} of ${size}`)
    }
  }
})

void t.test('ranges follow the rules of BOS', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: '0123456789' })
  await client.call('PUT', { key: 'empty', body: '' })
  async function ranged(range: string, method = 'GET', key = 'k') {
    return await client.call(method, { key, headers: { range } })
  }
  t.equal((await ranged('bytes=8-100')).body.toString(), '89')
  t.equal((await ranged('bytes=-3')).body.toString(), '789')
  t.equal((await ranged('')).status, 200, 'an empty header counts as absent')
  t.match(await ranged('bytes=10-'), { status: 416, code: 'InvalidRange' })
  t.equal((await ranged('bytes=10-')).headers['content-range'], 'bytes */10')
  t.match(await ranged('bytes=0-', 'GET', 'empty'), { status: 400, code: 'InvalidRange' })
  const head = await ranged('bytes=2-3', 'HEAD')
  t.equal(head.status, 206)
  t.equal(head.headers['content-length'], '2')
  const inQuery = await client.call('GET', { key: 'k', query: { 'x-bce-range': '0-5' } })
  t.equal(inQuery.body.toString(), '012345')
  t.equal(inQuery.status, 206)
  const other = await startHarness(t, { strict: { rangeOnEmpty: 416 } })
  await other.client.call('PUT', { key: 'empty', body: '' })
  const reply = await other.client.call('GET', { key: 'empty', headers: { range: 'bytes=0-' } })
  t.equal(reply.status, 416)
})

void t.test('conditions decide what a read answers', async t => {
  const { client } = await startHarness(t)
  const put = await client.call('PUT', { key: 'k', body: 'hello' })
  const etag = put.headers.etag ?? ''
  const read = async (headers: Record<string, string>, method = 'GET') =>
    await client.call(method, { key: 'k', headers })
  const unchanged = await read({ 'if-none-match': etag })
  t.equal(unchanged.status, 304)
  t.equal(unchanged.body.length, 0)
  t.equal(unchanged.headers.etag, etag)
  t.match(await read({ 'if-match': '"other"' }), { status: 412, code: 'PreconditionFailed' })
  const head = await read({ 'if-match': '"other"' }, 'HEAD')
  t.equal(head.status, 412)
  t.equal(head.body.length, 0)
  t.equal((await read({ 'if-match': etag })).status, 200)
})

void t.test('query parameters replace response headers', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'x' })
  const query = { responseContentType: 'text/x', responseContentDisposition: 'inline; a="b"' }
  const reply = await client.call('GET', { key: 'k', query })
  t.equal(reply.headers['content-type'], 'text/x')
  t.equal(reply.headers['content-disposition'], 'inline; a="b"')
  const injected = { responseContentType: 'a\r\nx: y' }
  const refused = await client.call('GET', { key: 'k', query: injected })
  t.match(refused, { status: 400, code: 'InvalidArgument' })
})

void t.test('what is missing is a 404 that says what', async t => {
  const { client } = await startHarness(t)
  const get = await client.call('GET', { key: 'none' })
  t.match(get, { status: 404, code: 'NoSuchKey' })
  t.equal(get.json?.['requestId'], get.headers['x-bce-request-id'])
  t.equal(get.headers['content-type'], 'application/json; charset=utf-8')
  const head = await client.call('HEAD', { key: 'none' })
  t.equal(head.status, 404)
  t.equal(head.body.length, 0)
  t.match(await client.call('DELETE', { key: 'none' }), { status: 404, code: 'NoSuchKey' })
  const elsewhere = await client.call('GET', { rawPath: '/no-such-bucket/k' })
  t.match(elsewhere, { status: 404, code: 'NoSuchBucket' })
  t.equal((await client.call('PUT', { rawPath: '/no-such-bucket/k' })).code, 'NoSuchBucket')
})

void t.test('keys keep every character, and odd ones are refused', async t => {
  const { client } = await startHarness(t)
  const keys = [
    'a b',
    ' a ',
    '%41',
    'a+b',
    'a?b#c&d=e',
    '中文/é',
    '😀',
    "!'()*~",
    'a\\b',
    'a/b/',
    'v1/k',
  ]
  for (const key of keys) {
    t.equal((await client.call('PUT', { key, body: key })).status, 200, key)
    t.equal((await client.call('GET', { key })).body.toString(), key)
  }
  const list = await client.call('GET')
  const contents = list.json?.['contents'] as readonly { key: string }[]
  const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  t.strictSame(
    contents.map(entry => entry.key),
    sorted,
  )
  t.equal((await client.call('PUT', { key: 'k'.repeat(1024) })).status, 200)
  t.equal((await client.call('PUT', { key: 'k'.repeat(1025) })).code, 'InvalidObjectName')
  for (const key of ['/a', 'a//b', 'a/../b']) {
    t.match(await client.call('PUT', { key }), { status: 400, code: 'InvalidObjectName' }, key)
  }
  t.equal((await client.call('PUT', { key: 'a/./b' })).code, 'InvalidURI')
  const lax = await startHarness(t, { strict: { keyRules: false } })
  for (const key of ['/a', 'a//b', 'a/../b', '.', '..']) {
    t.equal((await lax.client.call('PUT', { key, body: key })).status, 200, key)
    t.equal((await lax.client.call('GET', { key })).body.toString(), key)
  }
})

void t.test('a body that does not match its checksum is not stored', async t => {
  const { client, directory } = await startHarness(t)
  for (const body of [Buffer.from('hello'), seededBytes(2_000_000)]) {
    for (const headers of [
      { 'content-md5': createHash('md5').update('other').digest('base64') },
      { 'x-bce-content-crc32': '1' },
      { 'x-bce-content-sha256': '0'.repeat(64) },
    ]) {
      const reply = await client.call('PUT', { key: 'k', body, headers })
      t.match(reply, { status: 400, code: 'BadDigest' }, JSON.stringify(headers))
    }
  }
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
  t.strictSame(dataFiles(directory), [])
})

void t.test('a body that breaks off stores nothing and leaves no file', async t => {
  const { client, directory, log } = await startHarness(t)
  const body = seededBytes(3_000_000)
  for (const [key, size] of [
    ['big', 3_000_000],
    ['small', 1000],
  ] as const) {
    const part = { key, body: body.subarray(0, size), breakAfter: size / 2 }
    await t.rejects(client.call('PUT', part), /broken off/)
  }
  while (log.length < 2) await new Promise(resolve => setTimeout(resolve, 5))
  t.match(log.at(0), { status: 0, operation: 'PutObject' })
  t.equal((await client.call('HEAD', { key: 'big' })).status, 404)
  t.equal((await client.call('HEAD', { key: 'small' })).status, 404)
  t.strictSame(dataFiles(directory), [])
})

void t.test('a body that stops coming is given up', async t => {
  const { server, client } = await startHarness(t, { bodyTimeout: 50 })
  const path = client.path('k')
  const headers = { host: `127.0.0.1:${server.port}`, 'x-bce-date': stamp() }
  const authorization = client.authorization({ method: 'PUT', path, query: {}, headers })
  const socket = connect(server.port, '127.0.0.1')
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: ${headers.host}\r\nx-bce-date: ${headers['x-bce-date']}\r\n` +
      `Authorization: ${authorization}\r\nContent-Length: 100\r\n\r\nabc`,
  )
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  t.match(answer, /^HTTP\/1.1 400 /)
  t.match(answer, /RequestTimeout/)
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
})

void t.test('a PUT without a length, or with too large a one, is refused', async t => {
  const { client } = await startHarness(t)
  const chunked = { 'transfer-encoding': 'chunked', 'content-length': '' }
  const reply = await client.call('PUT', { key: 'k', body: 'x', headers: chunked })
  t.match(reply, { status: 411, code: 'MissingContentLength' })
  const huge = { 'content-length': String(5 * 1024 ** 3 + 1), expect: '100-continue' }
  t.equal((await client.call('PUT', { key: 'k', headers: huge })).code, 'EntityTooLarge')
})

void t.test('a client that waits for 100 Continue gets it, or the refusal instead', async t => {
  const { client } = await startHarness(t)
  const headers = { expect: '100-continue' }
  t.equal((await client.call('PUT', { key: 'k', body: 'hello', headers })).status, 200)
  const refused = { ...headers, 'if-none-match': '*' }
  t.equal((await client.call('PUT', { key: 'k', body: 'again', headers: refused })).status, 412)
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'hello')
})

void t.test('user metadata has a limit of 2048 bytes, names included', async t => {
  const { client } = await startHarness(t)
  const name = 'x-bce-meta-a'
  const fits = { [name]: 'v'.repeat(2048 - name.length) }
  t.equal((await client.call('PUT', { key: 'k', headers: fits })).status, 200)
  const more = { [name]: 'v'.repeat(2049 - name.length) }
  const reply = await client.call('PUT', { key: 'k', headers: more })
  t.match(reply, { status: 400, code: 'MetadataTooLarge' })
})

void t.test('conditional PUTs admit one of many writers', async t => {
  const { client } = await startHarness(t)
  const race = async (headers: Record<string, string>, size: number) => {
    const replies = await Promise.all(
      Array.from(
        { length: 8 },
        async (_, index) =>
          await client.call('PUT', { key: 'k', body: seededBytes(size + index), headers }),
      ),
    )
    return replies.map(reply => reply.status).toSorted((a, b) => a - b)
  }
  const oneOfEight = [200, 412, 412, 412, 412, 412, 412, 412]
  t.strictSame(await race({ 'if-none-match': '*' }, 10), oneOfEight)
  const head = await client.call('HEAD', { key: 'k' })
  t.strictSame(await race({ 'if-match': head.headers.etag ?? '' }, 100_000), oneOfEight)
  const missing = { 'if-match': '"x"' }
  t.equal((await client.call('PUT', { key: 'none', headers: missing })).status, 412)
})

void t.test('forbidding to overwrite protects an object', async t => {
  const { client } = await startHarness(t)
  const headers = { 'x-bce-forbid-overwrite': 'true' }
  t.equal((await client.call('PUT', { key: 'k', body: '1', headers })).status, 200)
  const second = await client.call('PUT', { key: 'k', body: '2', headers })
  t.match(second, { status: 409, code: 'FileAlreadyExists' })
  const off = { 'x-bce-forbid-overwrite': 'false' }
  t.equal((await client.call('PUT', { key: 'k', body: '3', headers: off })).status, 200)
})

void t.test('an overwritten object stays readable for who has begun to read it', async t => {
  const { client, directory, log } = await startHarness(t)
  const old = seededBytes(8_000_000)
  await client.call('PUT', { key: 'k', body: old })
  const reading = client.call('GET', { key: 'k' })
  await client.call('PUT', { key: 'k', body: 'new' })
  const reply = await reading
  t.ok(reply.body.equals(old) || reply.body.toString() === 'new')
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'new')
  while (log.filter(entry => entry.operation === 'GetObject').length < 2) {
    await new Promise(setImmediate)
  }
  t.strictSame(dataFiles(directory), [], 'the old data is gone')
})

void t.test('a copy shares the data and outlives its source', async t => {
  const { client, directory } = await startHarness(t)
  const body = seededBytes(200_000)
  const headers = { 'x-bce-meta-a': '1', 'content-type': 'text/x' }
  await client.call('PUT', { key: 'dir/a b', body, headers })
  const source = { 'x-bce-copy-source': '/test-bucket/dir/a%20b' }
  const copy = await client.call('PUT', { key: 'copy', headers: source })
  t.equal(copy.status, 200)
  t.equal(copy.json?.['eTag'], md5Of(body))
  t.match(copy.json?.['lastModified'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  t.equal(dataFiles(directory).length, 1)
  await client.call('DELETE', { key: 'dir/a b' })
  const get = await client.call('GET', { key: 'copy' })
  t.ok(get.body.equals(body))
  t.equal(get.headers['x-bce-meta-a'], '1')
  t.equal(get.headers['content-type'], 'text/x')
  await client.call('DELETE', { key: 'copy' })
  t.strictSame(dataFiles(directory), [])
})

void t.test('a small object is copied as well', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'a', body: 'hello' })
  await client.call('PUT', { key: 'b', headers: { 'x-bce-copy-source': '/test-bucket/a' } })
  await client.call('DELETE', { key: 'a' })
  const part = await client.call('GET', { key: 'b', headers: { range: 'bytes=1-3' } })
  t.equal(part.body.toString(), 'ell')
})

void t.test('a copy onto itself must change something', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'x', headers: { 'x-bce-meta-a': '1' } })
  const source = { 'x-bce-copy-source': '/test-bucket/k' }
  t.equal((await client.call('PUT', { key: 'k', headers: source })).status, 400)
  const replace = { ...source, 'x-bce-metadata-directive': 'replace', 'x-bce-meta-b': '2' }
  t.equal((await client.call('PUT', { key: 'k', headers: replace })).status, 200)
  const head = await client.call('HEAD', { key: 'k' })
  t.equal(head.headers['x-bce-meta-a'], undefined)
  t.equal(head.headers['x-bce-meta-b'], '2')
  const colder = { ...source, 'x-bce-storage-class': 'COLD' }
  t.equal((await client.call('PUT', { key: 'k', headers: colder })).status, 200)
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'x')
})

void t.test('conditions on a copy source all fail with 412', async t => {
  const { client } = await startHarness(t)
  const put = await client.call('PUT', { key: 'k', body: 'x' })
  const etag = put.headers.etag ?? ''
  const copy = async (headers: Record<string, string>) =>
    await client.call('PUT', {
      key: 'c',
      headers: { 'x-bce-copy-source': '/test-bucket/k', ...headers },
    })
  t.equal((await copy({ 'x-bce-copy-source-if-none-match': etag })).status, 412)
  t.equal((await copy({ 'x-bce-copy-source-if-match': '"x"' })).status, 412)
  t.equal((await copy({ 'x-bce-copy-source-if-match': etag })).status, 200)
  const none = await client.call('PUT', {
    key: 'c',
    headers: { 'x-bce-copy-source': '/test-bucket/none' },
  })
  t.match(none, { status: 404, code: 'NoSuchKey' })
  t.equal((await copy({ 'if-none-match': '*' })).status, 200, 'the target has no conditions')
})

void t.test('a rename moves an object with all it has, where it is switched on', async t => {
  const off = await startHarness(t)
  await off.client.call('PUT', { key: 'a', body: 'x' })
  const refused = await off.client.call('POST', { key: 'b', headers: { 'x-bce-rename-key': 'a' } })
  t.match(refused, { status: 501, code: 'NotImplemented' })

  const { client } = await startHarness(t, { strict: { renameObject: true } })
  await client.call('PUT', { key: 'a b', body: 'hello', headers: { 'x-bce-meta-m': '1' } })
  await client.call('PUT', { key: 'target', body: seededBytes(50_000) })
  const rename = { 'x-bce-rename-key': 'a%20b' }
  t.equal((await client.call('POST', { key: 'target', headers: rename })).status, 200)
  t.equal((await client.call('HEAD', { key: 'a b' })).status, 404)
  const get = await client.call('GET', { key: 'target' })
  t.equal(get.body.toString(), 'hello')
  t.equal(get.headers['x-bce-meta-m'], '1')
  t.equal((await client.call('POST', { key: 'x', headers: rename })).code, 'NoSuchKey')
  const self = { 'x-bce-rename-key': 'target' }
  t.equal((await client.call('POST', { key: 'target', headers: self })).status, 200)
  t.equal((await client.call('GET', { key: 'target' })).body.toString(), 'hello')
})

void t.test('functions that are missing say so', async t => {
  const { client } = await startHarness(t)
  const cases = [
    client.call('GET', { query: { versions: '' } }),
    client.call('POST', { key: 'k', query: { restore: '' } }),
    client.call('PUT', {
      key: 'k',
      headers: { 'x-bce-server-side-encryption-customer-key': 'AES256' },
    }),
    client.call('PUT', { key: 'k', headers: { 'x-bce-object-expires': '3' } }),
    client.call('GET', { query: { lifecycle: '' } }),
  ]
  for (const reply of await Promise.all(cases)) {
    t.match(reply, { status: 501, code: 'NotImplemented' })
  }
  const unknown = { 'x-bce-server-side-encryption': 'ROT13' }
  t.equal(
    (await client.call('PUT', { key: 'k', headers: unknown })).code,
    'InvalidEncryptionAlgorithm',
  )
  const cheap = { 'x-bce-storage-class': 'CHEAP' }
  t.match(await client.call('PUT', { key: 'k', headers: cheap }), {
    status: 400,
    code: 'InvalidArgument',
  })
})

function stamp(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`
}

void t.test('server-side encryption is acknowledged', async t => {
  const { client } = await startHarness(t)
  const headers = { 'x-bce-server-side-encryption': 'AES256' }
  for (const reply of [
    await client.call('PUT', { key: 'k', body: 'x', headers }),
    await client.call('HEAD', { key: 'k' }),
    await client.call('GET', { key: 'k' }),
  ]) {
    t.match(reply, { status: 200, headers })
  }
})
