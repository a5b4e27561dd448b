import { crc32 } from 'node:zlib'
import t from 'tap'
import { crc32c } from '../../../src/server/crc32c.js'
import { textOf, type Reply, type TestClient } from '../../helpers/bos-client.js'
import { dataFiles, md5Of, seededBytes, startHarness } from '../../helpers/bos-harness.js'

interface Part {
  readonly partNumber: number
  readonly eTag: string
}

class Upload {
  readonly client: TestClient
  readonly key: string
  readonly uploadId: string

  constructor(client: TestClient, key: string, uploadId: string) {
    this.client = client
    this.key = key
    this.uploadId = uploadId
  }

  static async start(client: TestClient, key: string, headers = {}): Promise<Upload> {
    const reply = await client.call('POST', { key, query: { uploads: '' }, headers })
    return new Upload(client, key, textOf(reply, 'uploadId'))
  }

  async put(partNumber: number, body: Uint8Array): Promise<Part> {
    const query = { partNumber: String(partNumber), uploadId: this.uploadId }
    const reply = await this.client.call('PUT', { key: this.key, query, body })
    return { partNumber, eTag: reply.headers.etag ?? `${reply.code}` }
  }

  async copy(
    partNumber: number,
    source: string,
    headers: Record<string, string> = {},
  ): Promise<Reply> {
    const query = { partNumber: String(partNumber), uploadId: this.uploadId }
    const all = { 'x-bce-copy-source': source, ...headers }
    return await this.client.call('PUT', { key: this.key, query, headers: all })
  }

  async complete(parts: readonly Part[], headers: Record<string, string> = {}): Promise<Reply> {
    const query = { uploadId: this.uploadId }
    const body = JSON.stringify({ parts })
    return await this.client.call('POST', { key: this.key, query, body, headers })
  }
}

const KIB_100 = 100 * 1024

void t.test('parts in any order become one object with the etag of its parts', async t => {
  const { client, directory } = await startHarness(t)
  const bodies = [seededBytes(300_000), seededBytes(150_000), seededBytes(5)]
  const upload = await Upload.start(client, 'dir/big', {
    'content-type': 'text/x',
    'x-bce-meta-a': '1',
  })
  const parts: Part[] = []
  for (const index of [2, 0, 1]) {
    parts[index] = await upload.put(index * 10 + 1, bodies[index] ?? Buffer.alloc(0))
  }
  t.equal((await client.call('HEAD', { key: 'dir/big' })).status, 404)
  const done = await upload.complete(parts, { 'x-bce-meta-b': '2' })
  const etag = `-${md5Of(Buffer.from(bodies.map(md5Of).join('')))}`
  t.match(done.json, { bucket: 'test-bucket', key: 'dir/big', eTag: etag })
  t.match(done.json?.['location'], /^http:\/\/.*\/test-bucket\/dir\/big$/)
  const whole = Buffer.concat(bodies)
  const get = await client.call('GET', { key: 'dir/big' })
  t.ok(get.body.equals(whole))
  t.equal(get.headers.etag, `"${etag}"`)
  t.equal(get.headers['content-md5'], undefined)
  t.match(get.headers, { 'content-type': 'text/x', 'x-bce-meta-a': '1', 'x-bce-meta-b': '2' })
  for (const [first, last] of [
    [0, 0],
    [299_990, 300_010],
    [300_000, 449_999],
    [449_999, 450_004],
    [1, 450_003],
  ] as const) {
    const part = await client.call('GET', {
      key: 'dir/big',
      headers: { range: `bytes=${first}-${last}` },
    })
    t.ok(part.body.equals(whole.subarray(first, last + 1)), `${first}-${last}`)
  }
  await client.call('DELETE', { key: 'dir/big' })
  t.strictSame(dataFiles(directory), [])
})

void t.test('a single part keeps its plain MD5, however small', async t => {
  const { client } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  const part = await upload.put(7, Buffer.from('hello'))
  const done = await upload.complete([part])
  t.equal(done.json?.['eTag'], '5d41402abc4b2a76b9719d911017c592')
  const get = await client.call('GET', { key: 'k' })
  t.equal(get.body.toString(), 'hello')
  t.equal(get.headers['content-md5'], 'XUFAKrxLKna5cZ2REBfFkg==')
})

void t.test('a part sent again replaces the earlier one', async t => {
  const { client, directory } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  const old = await upload.put(1, seededBytes(200_000))
  const part = await upload.put(1, seededBytes(200_001))
  t.equal(dataFiles(directory).length, 1)
  t.equal((await upload.complete([old])).code, 'InvalidPart')
  t.equal((await upload.complete([part])).status, 200)
  t.equal((await client.call('HEAD', { key: 'k' })).headers['content-length'], '200001')
})

void t.test('Complete checks its list, and a refused one can be repeated', async t => {
  const { client } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  const one = await upload.put(1, seededBytes(KIB_100))
  const two = await upload.put(2, seededBytes(10))
  const three = await upload.put(3, seededBytes(10))
  const refusals: readonly [readonly Part[], string][] = [
    [[two, one], 'InvalidPartOrder'],
    [[one, one], 'InvalidPartOrder'],
    [[one, { ...two, eTag: 'x' }], 'InvalidPart'],
    [[one, { partNumber: 9, eTag: 'x' }], 'InvalidPart'],
    [[one, two, three], 'EntityTooSmall'],
    [[], 'InvalidArgument'],
  ]
  for (const [parts, code] of refusals) {
    t.match(await upload.complete(parts), { status: 400, code }, code)
  }
  const { uploadId } = upload
  const broken = await client.call('POST', { key: 'k', query: { uploadId }, body: '{' })
  t.equal(broken.code, 'MalformedJSON')
  const unquoted = { ...two, eTag: two.eTag.replaceAll('"', '') }
  t.equal((await upload.complete([one, unquoted])).status, 200)
  t.match(await upload.complete([one, two]), { status: 404, code: 'NoSuchUpload' })
  t.equal((await client.call('HEAD', { key: 'k' })).headers['content-length'], String(KIB_100 + 10))
})

void t.test('the smallest part is a switch', async t => {
  const { client } = await startHarness(t, { strict: { minPartSize: 1 } })
  const upload = await Upload.start(client, 'k')
  const parts = [await upload.put(1, Buffer.from('a')), await upload.put(2, Buffer.from('b'))]
  t.equal((await upload.complete(parts)).status, 200)
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'ab')
})

void t.test('conditions on Complete protect what is there', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'old' })
  const upload = await Upload.start(client, 'k')
  const part = await upload.put(1, Buffer.from('new'))
  const refused = await upload.complete([part], { 'if-none-match': '*' })
  t.match(refused, { status: 412, code: 'PreconditionFailed' })
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'old')
  const { etag = '' } = (await client.call('HEAD', { key: 'k' })).headers
  t.equal((await upload.complete([part], { 'if-match': etag })).status, 200)
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'new')
})

void t.test('an aborted upload is gone with its data', async t => {
  const { client, directory } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  await upload.put(1, seededBytes(200_000))
  const query = { uploadId: upload.uploadId }
  t.equal((await client.call('DELETE', { key: 'k', query })).status, 204)
  t.strictSame(dataFiles(directory), [])
  t.match(await client.call('DELETE', { key: 'k', query }), { status: 404, code: 'NoSuchUpload' })
  t.equal((await upload.put(1, Buffer.from('x'))).eTag, 'NoSuchUpload')
  t.match(await client.call('GET', { key: 'k', query }), { code: 'NoSuchUpload' })
  t.match(await client.call('GET', { key: 'other', query }), { code: 'NoSuchUpload' })
})

void t.test('part numbers run from 1 to 10000', async t => {
  const { client } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  for (const number of [0, 10_001, -1]) {
    t.equal((await upload.put(number, Buffer.from('x'))).eTag, 'InvalidArgument', String(number))
  }
  t.match((await upload.put(10_000, Buffer.from('x'))).eTag, /^"[0-9a-f]{32}"$/)
})

void t.test('parts are listed in pages', async t => {
  const { client } = await startHarness(t)
  const upload = await Upload.start(client, 'k')
  for (const number of [5, 1, 3]) await upload.put(number, Buffer.from(`part ${number}`))
  const list = async (query: Record<string, string>) =>
    (await client.call('GET', { key: 'k', query: { uploadId: upload.uploadId, ...query } })).json
  t.match(await list({ maxParts: '2' }), {
    bucket: 'test-bucket',
    key: 'k',
    uploadId: upload.uploadId,
    storageClass: 'STANDARD',
    partNumberMarker: 0,
    nextPartNumberMarker: 3,
    maxParts: 2,
    isTruncated: true,
    parts: [{ partNumber: 1, size: 6, eTag: md5Of(Buffer.from('part 1')) }, { partNumber: 3 }],
  })
  const rest = await list({ partNumberMarker: '3' })
  t.match(rest, { isTruncated: false, maxParts: 1000, parts: [{ partNumber: 5 }] })
})

void t.test('uploads are listed in pages that lose none', async t => {
  const { client } = await startHarness(t)
  const started = new Set<string>()
  for (const key of ['a', 'b', 'b', 'c/d', 'c/e']) {
    started.add((await Upload.start(client, key)).uploadId)
  }
  const listed = new Set<string>()
  let keyMarker = ''
  for (let pages = 0; pages < 10; pages += 1) {
    const query = { uploads: '', maxUploads: '1', keyMarker }
    const { json } = await client.call('GET', { query })
    const uploads = json?.['uploads'] as readonly { uploadId: string }[]
    for (const { uploadId } of uploads) listed.add(uploadId)
    if (json?.['isTruncated'] !== true) break
    keyMarker = String(json['nextKeyMarker'] as string)
  }
  t.strictSame(listed, started)
  const grouped = await client.call('GET', { query: { uploads: '', delimiter: '/' } })
  t.match(grouped.json, {
    bucket: 'test-bucket',
    uploads: [
      { key: 'a', initiated: String, storageClass: 'STANDARD' },
      { key: 'b' },
      { key: 'b' },
    ],
    commonPrefixes: [{ prefix: 'c/' }],
  })
})

void t.test('parts are copied from ranges of objects without copying data', async t => {
  const { client, directory } = await startHarness(t)
  const source = seededBytes(1_000_000)
  await client.call('PUT', { key: 'a b', body: source })
  const upload = await Upload.start(client, 'k')
  const from = '/test-bucket/a%20b'
  const first = await upload.copy(1, from, { 'x-bce-copy-source-range': 'bytes=100-300099' })
  t.equal(first.status, 200)
  t.equal(first.json?.['eTag'], md5Of(source.subarray(100, 300_100)))
  const added = seededBytes(200_000)
  const second = await upload.put(2, added)
  const third = await upload.copy(3, from)
  t.equal(third.json?.['eTag'], md5Of(source))
  t.equal(dataFiles(directory).length, 2)
  await client.call('DELETE', { key: 'a b' })
  const parts = [
    { partNumber: 1, eTag: textOf(first, 'eTag') },
    second,
    { partNumber: 3, eTag: textOf(third, 'eTag') },
  ]
  t.equal((await upload.complete(parts)).status, 200)
  const whole = Buffer.concat([source.subarray(100, 300_100), added, source])
  t.ok((await client.call('GET', { key: 'k' })).body.equals(whole))

  // A copy of a range that crosses parts consists of several slices.
  const again = await Upload.start(client, 'k')
  const range = { 'x-bce-copy-source-range': 'bytes=299000-600000' }
  const crossing = await again.copy(1, '/test-bucket/k', range)
  t.equal(crossing.json?.['eTag'], md5Of(whole.subarray(299_000, 600_001)))
  await again.complete([{ partNumber: 1, eTag: textOf(crossing, 'eTag') }])
  t.ok((await client.call('GET', { key: 'k' })).body.equals(whole.subarray(299_000, 600_001)))
  await client.call('DELETE', { key: 'k' })
  t.strictSame(dataFiles(directory), [])
})

void t.test('a part copied from a small object has its bytes', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 's', body: '0123456789' })
  const upload = await Upload.start(client, 'k')
  const range = { 'x-bce-copy-source-range': 'bytes=2-4' }
  const copied = await upload.copy(1, '/test-bucket/s', range)
  t.equal(copied.json?.['eTag'], md5Of(Buffer.from('234')))
  await client.call('DELETE', { key: 's' })
  await upload.complete([{ partNumber: 1, eTag: textOf(copied, 'eTag') }])
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), '234')
})

void t.test('a part copy refuses bad sources, ranges and conditions', async t => {
  const { client } = await startHarness(t)
  const put = await client.call('PUT', { key: 's', body: '0123456789' })
  const upload = await Upload.start(client, 'k')
  const copy = async (headers: Record<string, string>, source = '/test-bucket/s') =>
    await upload.copy(1, source, headers)
  t.match(await copy({}, '/test-bucket/none'), { status: 404, code: 'NoSuchKey' })
  t.match(await copy({}, '/no-bucket/s'), { status: 404, code: 'NoSuchBucket' })
  t.match(await copy({ 'x-bce-copy-source-range': 'bytes=10-20' }), { code: 'InvalidRange' })
  t.match(await copy({ 'x-bce-copy-source-range': 'bytes=5-10' }), { code: 'InvalidRange' })
  t.match(await copy({ 'x-bce-copy-source-range': '5-6' }), { code: 'InvalidArgument' })
  t.match(await copy({ 'x-bce-copy-source-if-match': 'x' }), { status: 412 })
  t.match(await copy({ 'x-bce-copy-source-range': '' }), { status: 200 })
  const etag = put.headers.etag ?? ''
  t.match(await copy({ 'x-bce-copy-source-if-match': etag }), { status: 200 })
})

void t.test(
  'the CRC of a completed object is that of its content where its parts have one',
  async t => {
    const { client } = await startHarness(t)
    const pieces = [seededBytes(150_000), seededBytes(100_001)]
    const whole = Buffer.concat(pieces)
    await client.call('PUT', { key: 'source', body: pieces[1] ?? '' })
    for (const copied of [false, true]) {
      const started = await client.call('POST', { key: 'k', query: { uploads: '' } })
      const uploadId = textOf(started, 'uploadId')
      const parts: { partNumber: number; eTag: string }[] = []
      for (const [index, body] of pieces.entries()) {
        const query = { uploadId, partNumber: String(index + 1) }
        const isCopy = copied && index === 1
        const put = isCopy
          ? { headers: { 'x-bce-copy-source': '/test-bucket/source' } }
          : { body, headers: { 'x-bce-content-crc32c': String(crc32c(body)) } }
        const reply = await client.call('PUT', { key: 'k', query, ...put })
        const eTag = isCopy ? textOf(reply, 'eTag') : (reply.headers.etag ?? '')
        parts.push({ partNumber: index + 1, eTag })
      }
      const body = JSON.stringify({ parts })
      const complete = await client.call('POST', { key: 'k', query: { uploadId }, body })
      const head = await client.call('HEAD', { key: 'k' })
      for (const { headers } of [complete, head]) {
        t.equal(headers['x-bce-content-crc32'], String(crc32(whole)))
        t.equal(headers['x-bce-content-crc32c'], copied ? undefined : String(crc32c(whole)))
        t.equal(headers['content-md5'], undefined)
      }
    }
  },
)
