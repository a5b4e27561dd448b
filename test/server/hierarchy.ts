import t, { type Test } from 'tap'
import { startBosServer } from '../../src/server/server.js'
import { textOf, type Reply, type TestClient } from '../helpers/bos-client.js'
import { CREDENTIALS, dataFiles, seededBytes, startHarness } from '../helpers/bos-harness.js'

async function startTree(t: Test, strict = {}) {
  const buckets = [{ name: 'test-bucket', hierarchy: true }]
  const harness = await startHarness(t, { buckets, strict })
  const { client } = harness
  const put = async (key: string, body = '') => await client.call('PUT', { key, body })
  const rename = async (from: string, to: string, headers = {}) =>
    await client.call('POST', { key: to, headers: { 'x-bce-rename-key': from, ...headers } })
  return { ...harness, put, rename }
}

async function list(client: TestClient, prefix = '', more = {}): Promise<readonly string[]> {
  return names(await client.call('GET', { query: { prefix, delimiter: '/', ...more } }))
}

function names({ json }: Reply): readonly string[] {
  const contents = (json?.['contents'] ?? []) as readonly { key: string }[]
  const prefixes = (json?.['commonPrefixes'] ?? []) as readonly { prefix: string }[]
  return [...contents.map(({ key }) => key), ...prefixes.map(({ prefix }) => prefix)]
}

const type = (reply: Reply) => reply.headers['x-bce-object-type']

void t.test('PutBucket makes a hierarchical bucket, and HeadBucket says so', async t => {
  const { client } = await startHarness(t)
  for (const metaType of ['HIERARCHY', 'HIERARCHY_XH', 'FLAT']) {
    const rawPath = `/b-${metaType.toLowerCase().replace('_', '-')}`
    t.equal((await client.call('PUT', { rawPath, body: JSON.stringify({ metaType }) })).status, 200)
    const head = await client.call('HEAD', { rawPath })
    t.equal(head.headers['x-bce-bucket-type'], metaType === 'FLAT' ? undefined : 'namespace')
  }
})

void t.test('the kind of a bucket stays what it is over a restart', async t => {
  const { client, server, directory } = await startTree(t)
  t.equal((await client.call('PUT', { key: 'd/' })).status, 200)
  await server.close()
  const again = { dataDirectory: directory, credentials: CREDENTIALS }
  const flat = [{ name: 'test-bucket', hierarchy: false }]
  await t.rejects(startBosServer({ ...again, buckets: flat }), {
    name: 'ServerStartError',
    message: /exists and is hierarchical/,
  })
  const second = await startHarness(t, { dataDirectory: directory })
  t.equal(type(await second.client.call('HEAD', { key: 'd/' })), 'Directory')
})

void t.test('a directory is found with and without its slash, a file only by its name', async t => {
  const { client, put } = await startTree(t)
  await client.call('PUT', { key: 'd/', headers: { 'x-bce-meta-mode': '750' } })
  await put('d/f', 'hello')
  for (const key of ['d/', 'd']) {
    const head = await client.call('HEAD', { key })
    t.match(head, { status: 200, headers: { 'content-length': '0', 'x-bce-meta-mode': '750' } })
    t.equal(type(head), 'Directory')
  }
  t.equal(type(await client.call('HEAD', { key: 'd/f' })), 'Normal')
  t.equal((await client.call('HEAD', { key: 'd/f/' })).status, 404)
})

void t.test('the parent must exist and be a directory', async t => {
  const { client, put } = await startTree(t)
  const orphan = { status: 404, code: 'NamespaceParentNotExists' }
  t.match(await put('no/f', 'x'), orphan)
  t.match(await put('no/d/'), orphan)
  t.match(await client.call('POST', { key: 'no/f', query: { uploads: '' } }), orphan)
  await put('f', 'x')
  const headers = { 'x-bce-copy-source': '/test-bucket/f' }
  t.match(await client.call('PUT', { key: 'no/f', headers }), orphan)
  const conflict = { status: 409, code: 'NamespaceNameConflict' }
  t.match(await put('f/g', 'x'), conflict)
  t.match(await put('f/g/h', 'x'), conflict)
  t.equal((await put('d/')).status, 200)
  t.equal((await put('d/e/')).status, 200)
  t.equal((await put('d/e/f', 'x')).status, 200)
})

void t.test('what a refused PUT has sent leaves no file behind', async t => {
  const { client, directory } = await startTree(t)
  const put = await client.call('PUT', { key: 'no/f', body: seededBytes(100_000) })
  t.equal(put.status, 404)
  t.strictSame(dataFiles(directory), [])
})

void t.test('a parent that goes during a multipart upload fails its completion', async t => {
  const { client, put } = await startTree(t)
  await put('d/')
  const started = await client.call('POST', { key: 'd/f', query: { uploads: '' } })
  const uploadId = textOf(started, 'uploadId')
  const query = { uploadId, partNumber: '1' }
  const part = await client.call('PUT', { key: 'd/f', query, body: 'part' })
  const body = JSON.stringify({ parts: [{ partNumber: 1, eTag: part.headers.etag }] })
  t.equal((await client.call('DELETE', { key: 'd/' })).status, 204)
  const complete = { key: 'd/f', query: { uploadId }, body }
  t.equal((await client.call('POST', complete)).code, 'NamespaceParentNotExists')
  await put('d/')
  t.equal((await client.call('POST', complete)).status, 200)
})

void t.test('no name is a file and a directory at once', async t => {
  const { client, put } = await startTree(t)
  await put('f', 'x')
  await put('d/')
  const conflict = { status: 409, code: 'NamespaceNameConflict' }
  t.match(await put('f/'), conflict)
  t.match(await put('d', 'x'), conflict)
  t.match(await put('d/'), { status: 409, code: 'NamespaceDirAlreadyExists' })
  t.match(await put('e/', 'content'), { status: 400, code: 'InvalidArgument' })
  const headers = { 'if-none-match': '*' }
  t.match(await client.call('PUT', { key: 'd/', headers }), { code: 'PreconditionFailed' })
})

void t.test('a directory takes new metadata by a copy onto itself, and no other copy', async t => {
  const { client, put } = await startTree(t)
  await put('d/')
  const copy = async (key: string) =>
    await client.call('PUT', {
      key,
      headers: {
        'x-bce-copy-source': '/test-bucket/d/',
        'x-bce-metadata-directive': 'replace',
        'x-bce-meta-a': '1',
      },
    })
  t.equal((await copy('d/')).status, 200)
  const head = await client.call('HEAD', { key: 'd' })
  t.match(head.headers, { 'x-bce-meta-a': '1', 'x-bce-object-type': 'Directory' })
  t.match(await copy('e/'), { status: 400, code: 'InvalidArgument' })
})

void t.test('a listing shows one directory, without itself, and needs the delimiter /', async t => {
  const { client, put } = await startTree(t)
  for (const key of ['d/', 'd/e/', 'd/e/deep', 'd/f', 'd/z', 'x']) await put(key)
  t.strictSame(await list(client), ['x', 'd/'])
  t.strictSame(await list(client, 'd/'), ['d/f', 'd/z', 'd/e/'])
  t.strictSame(await list(client, 'd/e/'), ['d/e/deep'])
  t.strictSame(await list(client, 'none/'), [])
  for (const query of [{}, { delimiter: '-' }]) {
    t.match(await client.call('GET', { query }), { status: 400, code: 'InvalidArgument' })
  }
})

void t.test('pages of a directory go on behind a marker that is a full path', async t => {
  const { client, put } = await startTree(t)
  for (const key of ['d/', 'd/a', 'd/b/', 'd/b/deep', 'd/c']) await put(key)
  const seen: string[] = []
  let marker = ''
  for (let pages = 1; ; pages += 1) {
    const query = { prefix: 'd/', delimiter: '/', maxKeys: '1', marker }
    const page = await client.call('GET', { query })
    seen.push(...names(page))
    if (page.json?.['isTruncated'] !== true) {
      t.equal(pages, 3)
      break
    }
    marker = textOf(page, 'nextMarker')
  }
  t.strictSame(seen, ['d/a', 'd/b/', 'd/c'])
})

void t.test('a listing with metadata describes directories too', async t => {
  const { client } = await startTree(t, { listWithMetadata: true })
  await client.call('PUT', { key: 'd/', headers: { 'x-bce-meta-a': '1' } })
  const headers = { 'x-bce-list-with-ext-meta': 'true' }
  const page = await client.call('GET', { query: { delimiter: '/' }, headers })
  t.match(page.json?.['commonPrefixes'], [
    { prefix: 'd/', lastModified: /Z$/, userMeta: { a: '1' } },
  ])
})

void t.test('only an empty directory is deleted, and deleting a file keeps its parent', async t => {
  const { client, put } = await startTree(t)
  for (const key of ['d/', 'd/f', 'd/e/']) await put(key)
  const remove = async (key: string) => await client.call('DELETE', { key })
  for (const key of ['d/', 'd']) {
    t.match(await remove(key), { status: 409, code: 'DirNotEmpty' })
  }
  const batch = JSON.stringify({ objects: [{ key: 'd/' }, { key: 'd/f' }] })
  const reply = await client.call('POST', { query: { delete: '' }, body: batch })
  t.match(reply.json, { errors: [{ key: 'd/', code: 'DirNotEmpty' }] })
  t.equal((await remove('d/e')).status, 204)
  t.equal(type(await client.call('HEAD', { key: 'd' })), 'Directory')
  t.equal((await remove('d')).status, 204)
  t.match(await remove('d'), { status: 404, code: 'NoSuchKey' })
})

void t.test('a recursive delete takes the whole directory, page by page', async t => {
  const { client, put, directory } = await startTree(t, { recursiveDeleteLimit: 3 })
  for (const key of ['d/', 'd/a', 'd/e/', 'd/e/b', 'd/e/f/', 'dz', 'd-']) await put(key, '')
  await client.call('PUT', { key: 'd/big', body: seededBytes(100_000) })
  const headers = { 'x-bce-delete-recursive': 'true' }
  const first = await client.call('DELETE', { key: 'd', headers })
  t.match(first, { status: 200, json: { name: 'test-bucket', isTruncated: true, deleteNumber: 3 } })
  t.ok(textOf(first, 'nextDeleteToken'))
  t.strictSame(await list(client, 'd/'), ['d/a', 'd/big'], 'those furthest down go first')
  const token = { 'x-bce-delete-token': textOf(first, 'nextDeleteToken') }
  const last = await client.call('DELETE', { key: 'd', headers: { ...headers, ...token } })
  t.strictSame(last.json, { name: 'test-bucket', isTruncated: false, deleteNumber: 3 })
  t.strictSame(await list(client), ['d-', 'dz'])
  t.strictSame(dataFiles(directory), [])
  t.equal((await client.call('DELETE', { key: 'd', headers })).code, 'NoSuchKey')
})

void t.test('a directory is renamed with everything in it', async t => {
  const { client, put, rename } = await startTree(t)
  for (const key of ['d/', 'd/e/', 'd/e/deep', 'to/']) await put(key)
  await put('d/f', 'hello')
  await put('d.txt', 'stays')
  const before = await client.call('HEAD', { key: 'd/f' })
  t.equal((await rename('d', 'to/new')).status, 200)
  t.equal((await client.call('HEAD', { key: 'd' })).status, 404)
  t.strictSame(await list(client), ['d.txt', 'to/'])
  t.strictSame(await list(client, 'to/new/'), ['to/new/f', 'to/new/e/'])
  t.strictSame(await list(client, 'to/new/e/'), ['to/new/e/deep'])
  const after = await client.call('GET', { key: 'to/new/f' })
  t.equal(after.body.toString(), 'hello')
  t.equal(after.headers.etag, before.headers.etag)
  t.equal(after.headers['last-modified'], before.headers['last-modified'])
  t.equal((await rename('to/new/', 'back/')).status, 200, 'slashes are accepted')
  t.strictSame(await list(client, 'back/'), ['back/f', 'back/e/'])
})

void t.test('each rename that cannot be has its code and changes nothing', async t => {
  const { client, put, rename } = await startTree(t)
  for (const key of ['d/', 'd/f', 'd/e/', 'empty/', 'file']) await put(key)
  const before = [await list(client), await list(client, 'd/')]
  const cases: readonly (readonly [from: string, to: string, status: number, code: string])[] = [
    ['none', 'x', 404, 'NoSuchKey'],
    ['file', 'no/x', 404, 'NamespaceParentNotExists'],
    ['d', 'no/x', 404, 'NamespaceParentNotExists'],
    ['file', 'd', 409, 'NamespaceNameConflict'],
    ['file', 'x/', 409, 'NamespaceNameConflict'],
    ['d', 'file', 409, 'NamespaceNameConflict'],
    ['d/e', 'file/x', 409, 'NamespaceNameConflict'],
    ['d', 'empty', 409, 'NamespaceDirAlreadyExists'],
    ['d', 'd/e/x', 409, 'RenameConflict'],
    ['d', `${'x'.repeat(1022)}`, 400, 'InvalidObjectName'],
  ]
  for (const [from, to, status, code] of cases) {
    t.match(await rename(from, to), { status, code }, `${from} to ${to.slice(0, 10)}`)
  }
  t.strictSame([await list(client), await list(client, 'd/')], before)
  t.equal((await rename('d', 'd/')).status, 200, 'onto itself nothing happens')
})

void t.test('an object is replaced by a rename unless that is refused', async t => {
  const { client, put, rename, directory } = await startTree(t)
  await put('a', 'new')
  await client.call('PUT', { key: 'b', body: seededBytes(100_000) })
  const forbid = { 'x-bce-forbid-overwrite': 'true' }
  t.match(await rename('a', 'b', forbid), { status: 409, code: 'FileAlreadyExists' })
  t.match(await rename('a', 'b', { 'if-none-match': '*' }), { code: 'PreconditionFailed' })
  t.equal((await rename('a', 'b')).status, 200)
  t.equal((await client.call('GET', { key: 'b' })).body.toString(), 'new')
  t.strictSame(await list(client), ['b'])
  t.strictSame(dataFiles(directory), [], 'what was replaced is gone')

  const strict = await startTree(t, { renameReplaces: false })
  await strict.put('a', 'x')
  await strict.put('b', 'x')
  t.match(await strict.rename('a', 'b'), { status: 409, code: 'RenameConflict' })
  t.equal((await strict.rename('a', 'c')).status, 200)
})
