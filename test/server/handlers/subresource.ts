import t from 'tap'
import { md5Of, startHarness } from '../../helpers/bos-harness.js'

const SYMLINK = { symlink: '' }

void t.test('a symbolic link delivers its target under its own attributes', async t => {
  let now = Date.parse('2024-05-01T10:00:00Z')
  const { client } = await startHarness(t, { now: () => now })
  const headers = { 'x-bce-symlink-target': 'a%20b/%E4%B8%AD', 'x-bce-meta-l': '1' }
  t.equal((await client.call('PUT', { key: 'l', query: SYMLINK, headers })).status, 200)
  now += 5000
  await client.call('PUT', { key: 'a b/中', body: 'hello', headers: { 'x-bce-meta-t': '1' } })
  for (const method of ['GET', 'HEAD']) {
    const reply = await client.call(method, { key: 'l' })
    t.equal(reply.body.toString(), method === 'GET' ? 'hello' : '')
    t.match(reply.headers, {
      'content-length': '5',
      etag: `"${md5Of(Buffer.from('hello'))}"`,
      'last-modified': 'Wed, 01 May 2024 10:00:05 GMT',
      'x-bce-object-type': 'Symlink',
      'x-bce-meta-l': '1',
    })
    t.equal(reply.headers['x-bce-meta-t'], undefined)
  }
  const range = await client.call('GET', { key: 'l', headers: { range: 'bytes=1-2' } })
  t.equal(range.body.toString(), 'el')
  const link = await client.call('GET', { key: 'l', query: SYMLINK })
  t.match(link, { status: 200, headers: { 'x-bce-symlink-target': 'a%20b/%E4%B8%AD' } })
  t.equal(link.body.length, 0)
  const copy = { key: 'c', headers: { 'x-bce-copy-source': '/test-bucket/l' } }
  t.equal((await client.call('PUT', copy)).status, 200)
  t.equal((await client.call('GET', { key: 'c' })).body.toString(), 'hello')
})

void t.test('a link may lead into another bucket of the server', async t => {
  const { client } = await startHarness(t, { buckets: ['test-bucket', 'other'] })
  await client.call('PUT', { rawPath: '/other/k', body: 'there' })
  const headers = { 'x-bce-symlink-target': 'k', 'x-bce-symlink-bucket': 'other' }
  await client.call('PUT', { key: 'l', query: SYMLINK, headers })
  t.equal((await client.call('GET', { key: 'l' })).body.toString(), 'there')
  const link = await client.call('GET', { key: 'l', query: SYMLINK })
  t.equal(link.headers['x-bce-symlink-bucket'], 'other')
})

void t.test('a link that leads nowhere, to a link, or is none has its code', async t => {
  const { client } = await startHarness(t)
  const link = async (key: string, target: string, more = {}) =>
    await client.call('PUT', {
      key,
      query: SYMLINK,
      headers: { 'x-bce-symlink-target': target, ...more },
    })
  await link('l', 'none')
  t.match(await client.call('GET', { key: 'l' }), { status: 404, code: 'SymlinkTargetNotExist' })
  t.equal((await client.call('HEAD', { key: 'l' })).status, 404)
  t.equal((await client.call('GET', { key: 'l', query: SYMLINK })).status, 200)
  await link('m', 'l')
  t.match(await client.call('GET', { key: 'm' }), { status: 400, code: 'InvalidTargetType' })
  await client.call('PUT', { key: 'n', body: 'x' })
  const none = await client.call('GET', { key: 'n', query: SYMLINK })
  t.match(none, { status: 400, code: 'NotSymlink' })
  const forbid = { 'x-bce-forbid-overwrite': 'true' }
  t.match(await link('n', 'x', forbid), { status: 409, code: 'FileAlreadyExists' })
  t.equal((await link('n', 'x', { 'x-bce-storage-class': 'ARCHIVE' })).status, 400)
  const append = { key: 'l', query: { append: '', offset: '1' }, body: 'x' }
  t.match(await client.call('POST', append), { status: 403, code: 'ObjectUnappendable' })
  t.equal((await client.call('DELETE', { key: 'l' })).status, 204)
})

void t.test('the canned lists open a bucket and its objects to everybody', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'hello' })
  const anonymous = { key: 'k', anonymous: true }
  const statuses = async () => [
    (await client.call('GET', anonymous)).status,
    (await client.call('GET', { anonymous: true })).status,
    (await client.call('PUT', { ...anonymous, key: 'new', body: 'x' })).status,
    (await client.call('DELETE', { ...anonymous, key: 'new' })).status,
  ]
  const cases = {
    private: [403, 403, 403, 403],
    'public-read': [200, 200, 403, 403],
    'public-read-write': [200, 200, 200, 204],
  }
  for (const [acl, expected] of Object.entries(cases)) {
    const headers = { 'x-bce-acl': acl }
    t.equal((await client.call('PUT', { query: { acl: '' }, headers })).status, 200)
    t.strictSame(await statuses(), expected, acl)
  }
  t.equal((await client.call('GET', { rawPath: '/', anonymous: true })).code, 'AccessDenied')
  t.equal((await client.call('DELETE', { anonymous: true })).code, 'AccessDenied')
})

void t.test('the list of an object comes before that of its bucket', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'x', headers: { 'x-bce-acl': 'public-read' } })
  const get = async () => (await client.call('GET', { key: 'k', anonymous: true })).status
  t.equal(await get(), 200)
  const acl = { query: { acl: '' } }
  await client.call('PUT', { ...acl, key: 'k', headers: { 'x-bce-acl': 'private' } })
  await client.call('PUT', { ...acl, headers: { 'x-bce-acl': 'public-read' } })
  t.equal(await get(), 403)
  t.equal((await client.call('DELETE', { ...acl, key: 'k' })).status, 204)
  t.equal(await get(), 200)
  const none = await client.call('GET', { ...acl, key: 'k' })
  t.match(none, { status: 404, code: 'ObjectAclNotExists' })
})

void t.test('a list can be given as grants, and is read back', async t => {
  const { client } = await startHarness(t)
  const accessControlList = [{ grantee: [{ id: '*' }], permission: ['GetObject'] }]
  const put = async (body: object, key?: string) =>
    await client.call('PUT', {
      query: { acl: '' },
      body: JSON.stringify(body),
      ...(key === undefined ? {} : { key }),
    })
  t.equal((await put({ accessControlList })).status, 200)
  const read = await client.call('GET', { query: { acl: '' } })
  t.match(read.json, {
    owner: { id: String },
    accessControlList: [{ permission: ['FULL_CONTROL'] }, ...accessControlList],
  })
  await client.call('PUT', { key: 'k', body: 'x' })
  t.equal((await client.call('GET', { key: 'k', anonymous: true })).status, 200)
  t.equal((await client.call('GET', { anonymous: true })).status, 403)
  t.equal((await put({ accessControlList: [] }, 'k')).status, 200)
  t.equal((await client.call('GET', { key: 'k', anonymous: true })).status, 403)
  t.match(await put({}), { status: 400, code: 'InappropriateJSON' })
  const odd = [{ grantee: [{ id: '*' }], permission: ['FLY'] }]
  t.match(await put({ accessControlList: odd }), { status: 400, code: 'InvalidArgument' })
  const headers = { 'x-bce-grant-read': 'id="a",id="*"' }
  await client.call('PUT', { key: 'g', body: 'x', headers })
  t.equal((await client.call('GET', { key: 'g', anonymous: true })).status, 200)
  const canned = await client.call('PUT', { key: 'g', headers: { 'x-bce-acl': 'public' } })
  t.match(canned, { status: 400, code: 'InvalidArgument' })
})

void t.test('a copy does not take the list of its source along', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'k', body: 'x', headers: { 'x-bce-acl': 'public-read' } })
  const source = { 'x-bce-copy-source': '/test-bucket/k' }
  await client.call('PUT', { key: 'a', headers: source })
  await client.call('PUT', { key: 'b', headers: { ...source, 'x-bce-acl': 'public-read' } })
  t.equal((await client.call('GET', { key: 'a', anonymous: true })).status, 403)
  t.equal((await client.call('GET', { key: 'b', anonymous: true })).status, 200)
})

void t.test('tags are set, counted, copied or replaced, and removed', async t => {
  const { client } = await startHarness(t)
  const tagging = { query: { tagging: '' } }
  const tagsOf = async (key: string) => (await client.call('GET', { ...tagging, key })).json
  await client.call('PUT', { key: 'k', headers: { 'x-bce-tagging': 'a%20b=1&c=' } })
  const set = { tagSet: [{ tagInfo: { 'a b': '1' } }, { tagInfo: { c: '' } }] }
  t.strictSame(await tagsOf('k'), set)
  t.equal((await client.call('HEAD', { key: 'k' })).headers['x-bce-tagging-count'], '2')

  const source = { 'x-bce-copy-source': '/test-bucket/k' }
  await client.call('PUT', { key: 'copied', headers: source })
  t.strictSame(await tagsOf('copied'), set)
  const replace = { 'x-bce-tagging-directive': 'replace', 'x-bce-tagging': 'x=y' }
  await client.call('PUT', { key: 'replaced', headers: { ...source, ...replace } })
  t.strictSame(await tagsOf('replaced'), { tagSet: [{ tagInfo: { x: 'y' } }] })

  for (const tag of [{ tagInfo: { n: 'v' } }, { key: 'n', value: 'v' }]) {
    const body = JSON.stringify({ tagSet: [tag] })
    t.equal((await client.call('PUT', { ...tagging, key: 'k', body })).status, 200)
    t.strictSame(await tagsOf('k'), { tagSet: [{ tagInfo: { n: 'v' } }] })
  }
  t.equal((await client.call('DELETE', { ...tagging, key: 'k' })).status, 204)
  t.strictSame(await tagsOf('k'), { tagSet: [] })
  t.equal((await client.call('HEAD', { key: 'k' })).headers['x-bce-tagging-count'], undefined)
  const long = { 'x-bce-tagging': `${'n'.repeat(129)}=1` }
  t.equal((await client.call('PUT', { key: 'k', headers: long })).code, 'InvalidArgument')
  t.equal((await client.call('PUT', { ...tagging, key: 'k', body: '{}' })).status, 400)
})

void t.test('a hierarchical bucket has neither links nor tags', async t => {
  const { client } = await startHarness(t, { buckets: [{ name: 'test-bucket', hierarchy: true }] })
  const headers = { 'x-bce-symlink-target': 'k' }
  for (const query of [SYMLINK, { tagging: '' }]) {
    const reply = await client.call('PUT', { key: 'l', query, headers, body: '{}' })
    t.match(reply, { status: 501, code: 'NotImplemented' })
  }
})
