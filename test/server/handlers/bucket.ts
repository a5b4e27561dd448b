import t from 'tap'
import { ACCESS_KEY_ID, type Reply } from '../../helpers/bos-client.js'
import { md5Of, startHarness } from '../../helpers/bos-harness.js'

void t.test('buckets are made, described, listed and deleted', async t => {
  const now = () => Date.parse('2024-05-01T10:00:00Z')
  const { client } = await startHarness(t, { region: 'su', now })
  const made = await client.call('PUT', { rawPath: '/another' })
  t.equal(made.status, 200)
  t.equal(made.headers.location, 'su')
  const again = await client.call('PUT', { rawPath: '/another' })
  t.match(again, { status: 409, code: 'BucketAlreadyExists' })
  const tree = { rawPath: '/tree', body: '{"metaType":"ROUND"}' }
  t.match(await client.call('PUT', tree), { status: 400, code: 'InvalidArgument' })
  t.equal((await client.call('PUT', { rawPath: '/No' })).code, 'InvalidBucketName')
  const list = await client.call('GET', { rawPath: '/' })
  t.match(list.json, {
    owner: { id: /^[0-9a-f]{32}$/, displayName: String },
    buckets: [
      { name: 'another', location: 'su', creationDate: '2024-05-01T10:00:00Z' },
      { name: 'test-bucket' },
    ],
  })
  const head = await client.call('HEAD', { rawPath: '/another' })
  t.equal(head.status, 200)
  t.equal(head.headers['x-bce-bucket-region'], 'su')
  const location = await client.call('GET', { rawPath: '/another', query: { location: '' } })
  t.strictSame(location.json, { locationConstraint: 'su' })
  t.equal((await client.call('PUT', { rawPath: '/another/k', body: 'x' })).status, 200)
  const full = await client.call('DELETE', { rawPath: '/another' })
  t.match(full, { status: 409, code: 'BucketNotEmpty' })
  await client.call('DELETE', { rawPath: '/another/k' })
  t.equal((await client.call('DELETE', { rawPath: '/another' })).status, 204)
  const gone = await client.call('DELETE', { rawPath: '/another' })
  t.match(gone, { status: 404, code: 'NoSuchBucket' })
  t.equal((await client.call('HEAD', { rawPath: '/another' })).status, 404)
})

void t.test('a listing has the form and the fields of BOS', async t => {
  const now = () => Date.parse('2024-05-01T10:00:00.900Z')
  const { client } = await startHarness(t, { now })
  await client.call('PUT', { key: 'fun/a', body: 'hello' })
  await client.call('PUT', { key: 'fun/movie/b', body: 'x' })
  const list = await client.call('GET', { query: { prefix: 'fun/', delimiter: '/' } })
  t.strictSame(list.json, {
    name: 'test-bucket',
    prefix: 'fun/',
    marker: '',
    delimiter: '/',
    maxKeys: 1000,
    isTruncated: false,
    contents: [
      {
        key: 'fun/a',
        lastModified: '2024-05-01T10:00:00Z',
        eTag: '5d41402abc4b2a76b9719d911017c592',
        size: 5,
        storageClass: 'STANDARD',
        owner: { id: md5Of(Buffer.from(ACCESS_KEY_ID)), displayName: 'bosmount' },
      },
    ],
    commonPrefixes: [{ prefix: 'fun/movie/' }],
  })
})

void t.test('pages follow one another by the next marker', async t => {
  const { client } = await startHarness(t)
  for (const key of ['dir0/key0', 'dir0/key1', 'dir1/key0', 'dir3/key0', 'dir4/key0', 'key']) {
    await client.call('PUT', { key })
  }
  const first = await client.call('GET', {
    query: { delimiter: '/', marker: 'dir0/key0', maxKeys: '3' },
  })
  t.match(first.json, { isTruncated: true, nextMarker: 'dir4/key0', maxKeys: 3, contents: [] })
  t.strictSame(prefixes(first), ['dir1/', 'dir3/', 'dir4/'])
  const second = await client.call('GET', { query: { delimiter: '/', marker: 'dir4/key0' } })
  t.equal(second.json?.['isTruncated'], false)
  t.notOk('nextMarker' in (second.json ?? {}))
  t.strictSame(prefixes(second), [])
  t.match(second.json, { contents: [{ key: 'key' }] })
})

void t.test('bad list parameters are refused, large limits clamped', async t => {
  const { client } = await startHarness(t)
  const list = async (query: Record<string, string>) => await client.call('GET', { query })
  t.equal((await list({ maxKeys: '5000' })).json?.['maxKeys'], 1000)
  for (const query of [
    { maxKeys: '-1' },
    { maxKeys: 'many' },
    { delimiter: 'ab' },
    { marker: 'm'.repeat(1025) },
  ]) {
    t.match(await list(query), { status: 400, code: 'InvalidArgument' }, JSON.stringify(query))
  }
  t.equal((await list({ delimiter: '中' })).status, 200)
})

void t.test('metadata comes with a listing only when asked for and switched on', async t => {
  const wanted = { headers: { 'x-bce-list-with-ext-meta': 'true' } }
  for (const listWithMetadata of [true, false]) {
    const { client } = await startHarness(t, { strict: { listWithMetadata } })
    await client.call('PUT', { key: 'k', headers: { 'x-bce-meta-a': '1' } })
    const [entry] = ((await client.call('GET', wanted)).json?.['contents'] ?? []) as object[]
    t.strictSame(
      Object.entries(entry ?? {}).filter(([name]) => name === 'userMeta'),
      listWithMetadata ? [['userMeta', { a: '1' }]] : [],
    )
  }
})

void t.test('a batch delete answers only with what it could not delete', async t => {
  const { client } = await startHarness(t)
  for (const key of ['a', 'b', 'c']) await client.call('PUT', { key, body: key })
  const remove = async (body: string) => await client.call('POST', { query: { delete: '' }, body })
  const keys = (...names: string[]) => JSON.stringify({ objects: names.map(key => ({ key })) })
  const all = await remove(keys('a', 'b'))
  t.equal(all.status, 200)
  t.equal(all.body.length, 0)
  const some = await remove(keys('c', 'none', '/x'))
  t.equal(some.status, 200)
  t.match(some.json, {
    errors: [
      { key: 'none', code: 'NoSuchKey', message: String },
      { key: '/x', code: 'InvalidObjectName' },
    ],
  })
  t.strictSame((await client.call('GET')).json?.['contents'], [])
  t.equal((await remove('{')).code, 'MalformedJSON')
  t.equal((await remove('{}')).code, 'InappropriateJSON')
  t.equal((await remove('{"objects":[{"name":"a"}]}')).code, 'InappropriateJSON')
  t.equal((await remove(keys(...Array.from({ length: 1001 }, String)))).status, 400)
  const large = await remove(JSON.stringify({ objects: [{ key: 'x'.repeat(2 * 1024 * 1024) }] }))
  t.match(large, { status: 400, code: 'MaxMessageLengthExceeded' })
})

void t.test('a document that does not match its checksum is not acted on', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'a' })
  const body = JSON.stringify({ objects: [{ key: 'a' }] })
  const remove = async (digest: string) => {
    const headers = { 'content-md5': digest }
    return await client.call('POST', { query: { delete: '' }, body, headers })
  }
  const right = Buffer.from(md5Of(Buffer.from(body)), 'hex').toString('base64')
  const wrong = Buffer.from(md5Of(Buffer.from('')), 'hex').toString('base64')
  t.match(await remove(wrong), { status: 400, code: 'BadDigest' })
  t.equal((await client.call('HEAD', { key: 'a' })).status, 200)
  t.equal((await remove(right)).status, 200)
  t.equal((await client.call('HEAD', { key: 'a' })).status, 404)
})

function prefixes(reply: Reply): readonly unknown[] {
  const list = (reply.json?.['commonPrefixes'] ?? []) as readonly { prefix: string }[]
  return list.map(entry => entry.prefix)
}
