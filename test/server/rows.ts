/**
 * The description of BOS row by row, sections 1 to 8 of the reference that the server is written from:
 * each title is the behaviour of a row. What takes more than a few requests to show has its own test
 * elsewhere, and here only the row's outline.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import t, { type Test } from 'tap'
import { TestClient, textOf, type Call, type Reply } from '../helpers/bos-client.js'
import { md5Of, startHarness, type Harness } from '../helpers/bos-harness.js'
import type { BosServerOptions } from '../../src/server/server.js'

interface Stage extends Harness {
  readonly t: Test
  readonly call: (method: string, call?: Call) => Promise<Reply>
  readonly put: (key: string, body?: string, headers?: Call['headers']) => Promise<Reply>
  readonly get: (key: string, headers?: Call['headers']) => Promise<Reply>
}

type Row = (stage: Stage) => Promise<void>

/** Plays the rows of a section one after the other, each on a bucket that is new. */
function section(
  title: string,
  rows: Readonly<Record<string, Row>>,
  options: Partial<BosServerOptions> = {},
): void {
  void t.test(title, async t => {
    const harness = await startHarness(t, options)
    const { buckets } = options
    for (const [name, row] of Object.entries(rows)) {
      await t.test(name, async t => {
        await renew(harness.client, buckets === undefined ? 'FLAT' : 'HIERARCHY')
        const call = async (method: string, more: Call = {}) =>
          await harness.client.call(method, more)
        await row({
          ...harness,
          t,
          call,
          put: async (key, body = '', headers = {}) => await call('PUT', { key, body, headers }),
          get: async (key, headers = {}) => await call('GET', { key, headers }),
        })
      })
    }
  })
}

async function renew(client: TestClient, metaType: string): Promise<void> {
  const page = await client.call('GET', { query: { delimiter: '/' } })
  const contents = (page.json?.['contents'] ?? []) as readonly { key: string }[]
  const prefixes = (page.json?.['commonPrefixes'] ?? []) as readonly { prefix: string }[]
  for (const { prefix } of prefixes) {
    const headers = { 'x-bce-delete-recursive': 'true' }
    if (metaType === 'HIERARCHY') await client.call('DELETE', { key: prefix, headers })
    const { json } = await client.call('GET', {
      query: { prefix, delimiter: metaType === 'FLAT' ? '' : '/' },
    })
    for (const { key } of (json?.['contents'] ?? []) as readonly { key: string }[]) {
      await client.call('DELETE', { key })
    }
  }
  for (const { key } of contents) await client.call('DELETE', { key })
  await client.call('DELETE')
  await client.call('PUT', { body: JSON.stringify({ metaType }) })
}

const NOW = Date.parse('2024-05-01T10:00:00Z')
const fixed = { now: () => NOW }

/** Asserts that a reply is an error of this status and code. */
async function refused(t: Test, reply: Promise<Reply>, status: number, code: string) {
  t.match(await reply, { status, code, json: { code, message: String, requestId: String } })
}

async function begin({ call }: Stage, key = 'k'): Promise<string> {
  return textOf(await call('POST', { key, query: { uploads: '' } }), 'uploadId')
}

async function part({ call }: Stage, uploadId: string, partNumber: number, body: string) {
  const query = { uploadId, partNumber: String(partNumber) }
  const reply = await call('PUT', { key: 'k', query, body })
  return { partNumber, eTag: (reply.headers.etag ?? '').replaceAll('"', '') }
}

async function complete({ call }: Stage, uploadId: string, parts: readonly object[], headers = {}) {
  const body = JSON.stringify({ parts })
  return await call('POST', { key: 'k', query: { uploadId }, body, headers })
}

section('1 addressing', {
  'virtual host: <bucket>.<region>.bcebos.com/<key>': async ({ t, call }) => {
    const headers = { host: 'test-bucket.bj.bcebos.com' }
    t.equal((await call('PUT', { rawPath: '/a/k', body: 'x', headers })).status, 200)
    t.equal((await call('GET', { key: 'a/k' })).body.toString(), 'x')
  },
  'path style: <region>.bcebos.com/<bucket>/<key>': async ({ t, call }) => {
    const headers = { host: 'bj.bcebos.com' }
    t.equal((await call('PUT', { rawPath: '/test-bucket/k', body: 'x', headers })).status, 200)
    t.equal((await call('GET', { key: 'k' })).status, 200)
  },
  'legacy prefix /v1/<bucket>/<key>, signed as sent': async ({ t, call, put }) => {
    await put('k', 'x')
    t.equal((await call('GET', { rawPath: '/v1/test-bucket/k' })).body.toString(), 'x')
  },
  'an unknown bucket is NoSuchBucket 404': async ({ t, call }) => {
    await refused(t, call('GET', { rawPath: '/none/k' }), 404, 'NoSuchBucket')
  },
  'a bucket name is 3 to 63 of a-z, 0-9 and inner hyphens': async ({ t, call }) => {
    for (const name of ['ab', 'a'.repeat(64), 'Abc', 'a_b', '-ab', 'ab-', 'a.b']) {
      await refused(t, call('PUT', { rawPath: `/${name}` }), 400, 'InvalidBucketName')
    }
    for (const name of ['abc', 'a'.repeat(63), '0-9']) {
      t.equal((await call('PUT', { rawPath: `/${name}` })).status, 200)
    }
  },
})

section(
  '2 authentication',
  {
    'explicit list of signed headers': async ({ t, call }) => {
      t.equal((await call('GET', { signed: ['host', 'x-bce-date'] })).status, 200)
    },
    'empty list stands for host, content-* and every x-bce-*': async ({ t, call }) => {
      const headers = { 'x-bce-meta-a': '1', 'content-type': 'text/x' }
      t.equal((await call('PUT', { key: 'k', headers, signed: 'implicit' })).status, 200)
    },
    'lines are sorted, not names: x-bce-meta-a-b before x-bce-meta-a': async ({ t, put }) => {
      t.equal((await put('k', '', { 'x-bce-meta-a': '1', 'x-bce-meta-a-b': '2' })).status, 200)
    },
    'the wire form of query and path does not matter, only what it decodes to': async stage => {
      const { t, call, put } = stage
      await put('a!b', 'x')
      t.equal((await call('GET', { key: 'a!b' })).status, 200)
      t.equal((await call('GET', { query: { prefix: "a!'()*~" } })).status, 200)
    },
    'wrong signature: SignatureDoesNotMatch 403': async ({ t, server }) => {
      const client = new TestClient({ url: server.url, secretAccessKey: 'no', ...fixed })
      t.teardown(() => client.close())
      await refused(t, client.call('GET'), 403, 'SignatureDoesNotMatch')
    },
    'unknown access key: InvalidAccessKeyId 403': async ({ t, server }) => {
      const client = new TestClient({ url: server.url, accessKeyId: 'no', ...fixed })
      t.teardown(() => client.close())
      await refused(t, client.call('GET'), 403, 'InvalidAccessKeyId')
    },
    'malformed authorization: InvalidHTTPAuthHeader 400': async ({ t, call }) => {
      const headers = { authorization: 'bce-auth-v1/x' }
      await refused(t, call('GET', { headers, anonymous: true }), 400, 'InvalidHTTPAuthHeader')
    },
    'after timestamp + expiration: RequestExpired 400': async ({ t, server }) => {
      const client = new TestClient({ url: server.url, now: () => NOW - 1801_000 })
      t.teardown(() => client.close())
      await refused(t, client.call('GET'), 400, 'RequestExpired')
      t.equal((await client.call('GET', { expires: -1 })).status, 200, '-1 never expires')
    },
    'a clock more than 15 minutes ahead: RequestTimeTooSkewed 403': async ({ t, server }) => {
      const client = new TestClient({ url: server.url, now: () => NOW + 901_000 })
      t.teardown(() => client.close())
      await refused(t, client.call('GET'), 403, 'RequestTimeTooSkewed')
    },
    'neither x-bce-date nor Date: MissingDateHeader 400': async ({ t, call }) => {
      await refused(t, call('GET', { headers: { 'x-bce-date': '' } }), 400, 'MissingDateHeader')
    },
    'anonymous on a private bucket: AccessDenied 403': async ({ t, call, put }) => {
      await put('k', 'x')
      await refused(t, call('GET', { key: 'k', anonymous: true }), 403, 'AccessDenied')
    },
    'anonymous on a public-read object: 200': async ({ t, call, put }) => {
      await put('k', 'x', { 'x-bce-acl': 'public-read' })
      t.equal((await call('GET', { key: 'k', anonymous: true })).status, 200)
    },
    'anonymous ListBuckets: AccessDenied 403': async ({ t, call }) => {
      await refused(t, call('GET', { rawPath: '/', anonymous: true }), 403, 'AccessDenied')
    },
    'a token where none belongs: InvalidSessionToken 400, on HEAD without a body': async stage => {
      const { t, call } = stage
      const headers = { 'x-bce-security-token': 'old' }
      await refused(t, call('GET', { headers }), 400, 'InvalidSessionToken')
      const head = await call('HEAD', { key: 'k', headers })
      t.equal(head.status, 400)
      t.equal(head.body.length, 0)
    },
    'presigned URL with x-bce-range and a response header in its query': async stage => {
      const { t, call, client, put } = stage
      await put('k', 'hello')
      const query = { 'x-bce-range': '0-1', responseContentType: 'text/x' }
      const parts = { method: 'GET', path: client.path('k'), query, headers: { host: client.host } }
      const authorization = client.authorization(parts, { signed: ['host'] })
      const reply = await call('GET', {
        key: 'k',
        anonymous: true,
        query: { ...query, authorization },
      })
      t.match(reply, { status: 206, headers: { 'content-type': 'text/x' } })
      t.equal(reply.body.toString(), 'he')
    },
  },
  fixed,
)

section(
  '2.5 session tokens',
  {
    'the token of a temporary credential is required, in the header or in the query':
      async stage => {
        const { t, server, call } = stage
        await refused(t, call('GET'), 400, 'InvalidSessionToken')
        const client = new TestClient({ url: server.url, sessionToken: 'token' })
        t.teardown(() => client.close())
        t.equal((await client.call('GET')).status, 200)
        const query = { 'x-bce-security-token': 'token' }
        t.equal((await call('GET', { query })).status, 200)
      },
  },
  {
    credentials: [
      { accessKeyId: 'test-access-key', secretAccessKey: 'test-secret-key', sessionToken: 'token' },
    ],
  },
)

section('3 responses and errors', {
  'every response has request id, debug id, Date and Server': async ({ t, call }) => {
    for (const reply of [await call('GET'), await call('GET', { key: 'none' })]) {
      t.match(reply.headers, {
        'x-bce-request-id': /^[0-9a-f-]{36}$/,
        'x-bce-debug-id': String,
        date: /GMT$/,
        server: 'BceBos',
      })
    }
  },
  'an error is {code, message, requestId} with the id of the header': async ({ t, get }) => {
    const reply = await get('none')
    t.equal(reply.headers['content-type'], 'application/json; charset=utf-8')
    t.equal(reply.json?.['requestId'], reply.headers['x-bce-request-id'])
    t.strictSame(Object.keys(reply.json ?? {}), ['code', 'message', 'requestId'])
  },
  'errors of HEAD and 304 have no body': async ({ t, call, put, get }) => {
    t.equal((await call('HEAD', { key: 'none' })).body.length, 0)
    const { headers } = await put('k', 'x')
    const reply = await get('k', { 'if-none-match': headers.etag ?? '' })
    t.equal(reply.status, 304)
    t.equal(reply.body.length, 0)
  },
  'Content-MD5, sha256 or a crc that does not match: BadDigest 400': async ({ t, put }) => {
    for (const headers of [
      { 'content-md5': Buffer.alloc(16).toString('base64') },
      { 'x-bce-content-sha256': '0'.repeat(64) },
      { 'x-bce-content-crc32': '1' },
      { 'x-bce-content-crc32c': '1' },
      { 'x-bce-content-crc64ecma': '1' },
    ] as const) {
      await refused(t, put('k', 'x', headers), 400, 'BadDigest')
    }
  },
  'a method that a resource does not have: MethodNotAllowed 405': async ({ t, call }) => {
    await refused(t, call('POST', { key: 'k' }), 405, 'MethodNotAllowed')
  },
  'PUT without a length: MissingContentLength 411': async ({ t, call }) => {
    const headers = { 'content-length': '', 'transfer-encoding': 'chunked' }
    await refused(t, call('PUT', { key: 'k', headers }), 411, 'MissingContentLength')
  },
  'JSON that cannot be parsed: MalformedJSON 400; of the wrong form: InappropriateJSON 400':
    async ({ t, call }) => {
      const query = { delete: '' }
      await refused(t, call('POST', { query, body: '{' }), 400, 'MalformedJSON')
      await refused(t, call('POST', { query, body: '{}' }), 400, 'InappropriateJSON')
    },
  'what does not exist here: NotImplemented 501': async ({ t, call }) => {
    await refused(t, call('GET', { query: { lifecycle: '' } }), 501, 'NotImplemented')
  },
})

section('4 buckets', {
  'ListBuckets: owner and buckets with name, location, creationDate': async ({ t, call }) => {
    t.match((await call('GET', { rawPath: '/' })).json, {
      owner: { id: String, displayName: String },
      buckets: [{ name: 'test-bucket', location: 'bj', creationDate: /^\d{4}-.*Z$/ }],
    })
  },
  'PutBucket: 200 with Location; existing: BucketAlreadyExists 409': async ({ t, call }) => {
    t.match(await call('PUT', { rawPath: '/new' }), { status: 200, headers: { location: 'bj' } })
    await refused(t, call('PUT', { rawPath: '/new' }), 409, 'BucketAlreadyExists')
  },
  'HeadBucket: 200 with region and storage class, or 404': async ({ t, call }) => {
    t.match(await call('HEAD'), {
      status: 200,
      headers: { 'x-bce-bucket-region': 'bj', 'x-bce-bucket-storageclass': 'STANDARD' },
    })
    t.equal((await call('HEAD', { rawPath: '/none' })).status, 404)
  },
  'Location: {locationConstraint}': async ({ t, call }) => {
    const reply = await call('GET', { query: { location: '' } })
    t.strictSame(reply.json, { locationConstraint: 'bj' })
  },
  'DeleteBucket: 204; missing: NoSuchBucket 404; not empty: BucketNotEmpty 409': async stage => {
    const { t, call, put } = stage
    await put('k')
    await refused(t, call('DELETE'), 409, 'BucketNotEmpty')
    await call('DELETE', { key: 'k' })
    t.equal((await call('DELETE')).status, 204)
    await refused(t, call('DELETE'), 404, 'NoSuchBucket')
  },
  'ACL: canned by header, read back as a list': async ({ t, call }) => {
    await call('PUT', { query: { acl: '' }, headers: { 'x-bce-acl': 'public-read' } })
    t.match((await call('GET', { query: { acl: '' } })).json, {
      owner: { id: String },
      accessControlList: [{}, { grantee: [{ id: '*' }], permission: ['READ'] }],
    })
  },
})

section(
  '4.1 hierarchical buckets',
  {
    'HeadBucket says namespace': async ({ t, call }) => {
      t.equal((await call('HEAD')).headers['x-bce-bucket-type'], 'namespace')
    },
    'HEAD of a directory says Directory': async ({ t, call, put }) => {
      await put('d/')
      t.equal((await call('HEAD', { key: 'd' })).headers['x-bce-object-type'], 'Directory')
    },
    'content under a key that ends with / is refused': async ({ t, put }) => {
      await refused(t, put('d/', 'x'), 400, 'InvalidArgument')
    },
    'ListObjects needs the delimiter /': async ({ t, call }) => {
      await refused(t, call('GET'), 400, 'InvalidArgument')
      t.equal((await call('GET', { query: { delimiter: '/' } })).status, 200)
    },
    'a parent that is missing: NamespaceParentNotExists 404': async ({ t, put }) => {
      await refused(t, put('d/k', 'x'), 404, 'NamespaceParentNotExists')
    },
    'links and tags do not exist: NotImplemented 501': async ({ t, call }) => {
      const headers = { 'x-bce-symlink-target': 'x' }
      const put = call('PUT', { key: 'k', query: { symlink: '' }, headers })
      await refused(t, put, 501, 'NotImplemented')
    },
    'recursive delete: {name, isTruncated, deleteNumber}': async ({ t, call, put }) => {
      for (const key of ['d/', 'd/e/', 'd/e/k']) await put(key)
      await refused(t, call('DELETE', { key: 'd/' }), 409, 'DirNotEmpty')
      const headers = { 'x-bce-delete-recursive': 'true' }
      const body = { name: 'test-bucket', isTruncated: false, deleteNumber: 3 }
      t.strictSame((await call('DELETE', { key: 'd/', headers })).json, body)
    },
  },
  { buckets: [{ name: 'test-bucket', hierarchy: true }] },
)

section('5.1 PutObject', {
  '200 with ETag in quotes, Content-MD5, crc32 and storage class': async ({ t, put }) => {
    t.match(await put('k', 'hello'), {
      status: 200,
      headers: {
        etag: '"5d41402abc4b2a76b9719d911017c592"',
        'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==',
        'x-bce-content-crc32': String(crc32('hello')),
        'x-bce-storage-class': 'STANDARD',
      },
    })
  },
  'checksums that match are accepted': async ({ t, put }) => {
    const headers = {
      'content-md5': createHash('md5').update('hello').digest('base64'),
      'x-bce-content-sha256': createHash('sha256').update('hello').digest('hex'),
      'x-bce-content-crc32': String(crc32('hello')),
    }
    t.equal((await put('k', 'hello', headers)).status, 200)
  },
  'Content-Type: as sent, else by extension, else octet-stream': async ({ t, put, get }) => {
    await put('a', '', { 'content-type': 'x/y' })
    await put('b.txt')
    await put('c')
    const types = await Promise.all(['a', 'b.txt', 'c'].map(async key => await get(key)))
    t.strictSame(
      types.map(({ headers }) => headers['content-type']),
      ['x/y', 'text/plain', 'application/octet-stream'],
    )
  },
  'If-None-Match: * makes, and PreconditionFailed 412 when there is one': async ({ t, put }) => {
    t.equal((await put('k', 'x', { 'if-none-match': '*' })).status, 200)
    await refused(t, put('k', 'x', { 'if-none-match': '*' }), 412, 'PreconditionFailed')
  },
  'If-Match comes before If-Unmodified-Since': async ({ t, put }) => {
    const { headers } = await put('k', 'x')
    const past = { 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' }
    await refused(t, put('k', 'x', past), 412, 'PreconditionFailed')
    t.equal((await put('k', 'x', { ...past, 'if-match': headers.etag ?? '' })).status, 200)
  },
  'x-bce-forbid-overwrite: FileAlreadyExists 409 only when true': async ({ t, put }) => {
    await put('k')
    t.equal((await put('k', '', { 'x-bce-forbid-overwrite': 'false' })).status, 200)
    const forbid = { 'x-bce-forbid-overwrite': 'true' }
    await refused(t, put('k', '', forbid), 409, 'FileAlreadyExists')
  },
  'a storage class is kept; an unknown one: InvalidArgument 400': async ({ t, put, get }) => {
    await put('k', '', { 'x-bce-storage-class': 'COLD' })
    t.equal((await get('k')).headers['x-bce-storage-class'], 'COLD')
    await refused(t, put('k', '', { 'x-bce-storage-class': 'WARM' }), 400, 'InvalidArgument')
  },
  'encryption: AES256 and SM4, else InvalidEncryptionAlgorithm 400': async ({ t, put }) => {
    const name = 'x-bce-server-side-encryption'
    t.equal((await put('k', '', { [name]: 'SM4' })).headers[name], 'SM4')
    await refused(t, put('k', '', { [name]: 'ROT13' }), 400, 'InvalidEncryptionAlgorithm')
  },
  'x-bce-traffic-limit: 819200 to 838860800, else 400': async ({ t, put }) => {
    t.equal((await put('k', '', { 'x-bce-traffic-limit': '819200' })).status, 200)
    await refused(t, put('k', '', { 'x-bce-traffic-limit': '1' }), 400, 'InvalidArgument')
  },
  'Expires is three days ahead where none was set': async ({ t, put, get }) => {
    await put('k')
    const { headers } = await get('k')
    const ahead = Date.parse(headers.expires ?? '') - Date.parse(headers['last-modified'] ?? '')
    t.equal(ahead, 3 * 24 * 3600 * 1000)
  },
})

section('5.2 user metadata', {
  '2048 bytes of names and values pass, 2049 are MetadataTooLarge 400': async ({ t, put }) => {
    const name = 'x-bce-meta-a'
    t.equal((await put('k', '', { [name]: 'v'.repeat(2048 - name.length) })).status, 200)
    const more = { [name]: 'v'.repeat(2049 - name.length) }
    await refused(t, put('k', '', more), 400, 'MetadataTooLarge')
  },
  'names become lower case, values lose white space around them, empty ones go': async stage => {
    const { t, put, get } = stage
    await put('k', '', { 'x-bce-meta-Ab': ' v ', 'x-bce-meta-none': '' })
    const { headers } = await get('k')
    t.equal(headers['x-bce-meta-ab'], 'v')
    t.notOk('x-bce-meta-none' in headers)
  },
})

section('5.3 GetObject', {
  'bytes=a-b, a-, clamped at the end: 206 with Content-Range': async ({ t, put, get }) => {
    await put('k', 'hello')
    for (const [range, body, at] of [
      ['bytes=1-2', 'el', '1-2'],
      ['bytes=3-', 'lo', '3-4'],
      ['bytes=3-99', 'lo', '3-4'],
      ['bytes=-2', 'lo', '3-4'],
    ] as const) {
      const reply = await get('k', { range })
      t.match(reply, { status: 206, headers: { 'content-range': `bytes ${at}/5` } })
      t.equal(reply.body.toString(), body)
    }
  },
  'start behind the end: InvalidRange 416': async ({ t, put, get }) => {
    await put('k', 'hello')
    await refused(t, get('k', { range: 'bytes=5-' }), 416, 'InvalidRange')
  },
  'any range on an empty object: 400': async ({ t, put, get }) => {
    await put('k')
    await refused(t, get('k', { range: 'bytes=0-' }), 400, 'InvalidRange')
  },
  'an empty Range header is ignored': async ({ t, put, get }) => {
    await put('k', 'hello')
    t.equal((await get('k', { range: '' })).status, 200)
  },
  'If-Match and If-Unmodified-Since fail with 412': async ({ t, put, get }) => {
    await put('k', 'hello')
    await refused(t, get('k', { 'if-match': '"x"' }), 412, 'PreconditionFailed')
    const past = { 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' }
    await refused(t, get('k', past), 412, 'PreconditionFailed')
  },
  'If-None-Match and If-Modified-Since fail with 304, the first overrides': async stage => {
    const { t, put, get } = stage
    const etag = (await put('k', 'hello')).headers.etag ?? ''
    const future = { 'if-modified-since': new Date(Date.now() + 60_000).toUTCString() }
    t.equal((await get('k', { 'if-none-match': etag })).status, 304)
    t.equal((await get('k', future)).status, 304)
    t.equal((await get('k', { ...future, 'if-none-match': '"x"' })).status, 200)
  },
  'response headers are replaced by the query': async ({ t, call, put }) => {
    await put('k', 'hello')
    const query = { responseContentType: 'a/b', responseCacheControl: 'no-store' }
    const { headers } = await call('GET', { key: 'k', query })
    t.match(headers, { 'content-type': 'a/b', 'cache-control': 'no-store' })
  },
})

section('5.4 to 5.6 HEAD, DELETE, batch delete', {
  'HEAD has the headers of GET and no body': async ({ t, call, put, get }) => {
    await put('k', 'hello', { 'x-bce-meta-a': '1' })
    const { 'x-bce-request-id': _, 'x-bce-debug-id': __, ...wanted } = (await get('k')).headers
    t.match((await call('HEAD', { key: 'k' })).headers, { ...wanted, date: String })
  },
  'DELETE: 204; missing: NoSuchKey 404, not 204': async ({ t, call, put }) => {
    await put('k')
    t.equal((await call('DELETE', { key: 'k' })).status, 204)
    await refused(t, call('DELETE', { key: 'k' }), 404, 'NoSuchKey')
  },
  'batch delete: an empty body when all went, else the failures': async ({ t, call, put }) => {
    await put('a')
    await put('b')
    const remove = async (...keys: string[]) => {
      const body = JSON.stringify({ objects: keys.map(key => ({ key })) })
      return await call('POST', { query: { delete: '' }, body })
    }
    t.equal((await remove('a')).body.length, 0)
    t.match((await remove('a', 'b')).json, { errors: [{ key: 'a', code: 'NoSuchKey' }] })
  },
})

section('5.7 CopyObject', {
  '200 {lastModified, eTag}, with the metadata of the source': async ({ t, put, get }) => {
    await put('a', 'hello', { 'x-bce-meta-a': '1' })
    const copy = await put('b', '', { 'x-bce-copy-source': '/test-bucket/a' })
    t.match(copy.json, { lastModified: /Z$/, eTag: md5Of(Buffer.from('hello')) })
    t.equal((await get('b')).headers['x-bce-meta-a'], '1')
  },
  'the source key is decoded once': async ({ t, put, get }) => {
    await put('a%20b', 'percent')
    await put('c', '', { 'x-bce-copy-source': '/test-bucket/a%2520b' })
    t.equal((await get('c')).body.toString(), 'percent')
  },
  'onto itself only with replace or another storage class': async ({ t, put, get }) => {
    await put('k', 'x')
    const source = { 'x-bce-copy-source': '/test-bucket/k' }
    await refused(t, put('k', '', source), 400, 'InvalidArgument')
    const replace = { 'x-bce-metadata-directive': 'replace', 'x-bce-meta-a': '1' }
    t.equal((await put('k', '', { ...source, ...replace })).status, 200)
    t.equal((await get('k')).headers['x-bce-meta-a'], '1')
    t.equal((await put('k', '', { ...source, 'x-bce-storage-class': 'COLD' })).status, 200)
  },
  'every condition on the source fails with 412, never 304': async ({ t, put }) => {
    const etag = (await put('k', 'x')).headers.etag ?? ''
    const source = { 'x-bce-copy-source': '/test-bucket/k' }
    for (const headers of [
      { 'x-bce-copy-source-if-match': 'x' },
      { 'x-bce-copy-source-if-none-match': etag },
      { 'x-bce-copy-source-if-modified-since': new Date(Date.now() + 9e4).toUTCString() },
      { 'x-bce-copy-source-if-unmodified-since': new Date(0).toUTCString() },
    ] as const) {
      await refused(t, put('c', '', { ...source, ...headers }), 412, 'PreconditionFailed')
    }
  },
  'a missing source: NoSuchKey 404': async ({ t, put }) => {
    await refused(t, put('c', '', { 'x-bce-copy-source': '/test-bucket/no' }), 404, 'NoSuchKey')
  },
})

section('5.11 RenameObject', {
  'off on a flat bucket: NotImplemented 501': async ({ t, call, put }) => {
    await put('a')
    const headers = { 'x-bce-rename-key': 'a' }
    await refused(t, call('POST', { key: 'b', headers }), 501, 'NotImplemented')
  },
})

section(
  '5.11 RenameObject, switched on',
  {
    '200 with an empty body, the source percent-decoded, by POST or PUT': async stage => {
      const { t, call, put, get } = stage
      await put('a b', 'x')
      const first = await call('POST', { key: 'c', headers: { 'x-bce-rename-key': 'a%20b' } })
      t.equal(first.status, 200)
      t.equal(first.body.length, 0)
      t.equal((await call('PUT', { key: 'd', headers: { 'x-bce-rename-key': 'c' } })).status, 200)
      t.equal((await get('d')).body.toString(), 'x')
    },
    'a missing source: NoSuchKey 404': async ({ t, call }) => {
      const headers = { 'x-bce-rename-key': 'none' }
      await refused(t, call('POST', { key: 'b', headers }), 404, 'NoSuchKey')
    },
  },
  { strict: { renameObject: true } },
)

section('6 ListObjects', {
  'maxKeys is 1000 by default and at most; below 0: InvalidArgument 400': async ({ t, call }) => {
    t.equal((await call('GET')).json?.['maxKeys'], 1000)
    t.equal((await call('GET', { query: { maxKeys: '2000' } })).json?.['maxKeys'], 1000)
    await refused(t, call('GET', { query: { maxKeys: '-1' } }), 400, 'InvalidArgument')
  },
  'order is that of UTF-8 bytes': async ({ t, call, put }) => {
    for (const key of ['𐀀', '\uffee', 'é', 'z', 'A', 'a/b', 'a-b']) await put(key)
    const contents = (await call('GET')).json?.['contents'] as readonly { key: string }[]
    t.strictSame(
      contents.map(({ key }) => key),
      ['A', 'a-b', 'a/b', 'z', 'é', '\uffee', '𐀀'],
    )
  },
  'eTag without quotes; delimiter and nextMarker only where they belong': async stage => {
    const { t, call, put } = stage
    await put('k', 'hello')
    const { json } = await call('GET')
    t.match(json, { contents: [{ eTag: '5d41402abc4b2a76b9719d911017c592', size: 5 }] })
    for (const name of ['delimiter', 'nextMarker', 'commonPrefixes']) t.notOk(name in (json ?? {}))
  },
  'the entry equal to the prefix is in contents': async ({ t, call, put }) => {
    await put('fun/')
    await put('fun/a')
    const { json } = await call('GET', { query: { prefix: 'fun/', delimiter: '/' } })
    t.match(json, { contents: [{ key: 'fun/' }, { key: 'fun/a' }] })
  },
  'nextMarker is a real key inside the last group, and the group is not repeated': async stage => {
    const { t, call, put } = stage
    for (const key of ['dir0/key0', 'dir0/key1', 'dir1/key0', 'dir3/key0', 'dir4/key0', 'key']) {
      await put(key)
    }
    const query = { delimiter: '/', marker: 'dir0/key0', maxKeys: '3' }
    t.match((await call('GET', { query })).json, {
      isTruncated: true,
      nextMarker: 'dir4/key0',
      commonPrefixes: [{ prefix: 'dir1/' }, { prefix: 'dir3/' }, { prefix: 'dir4/' }],
    })
  },
  'a delimiter is one character, a marker at most 1024 bytes': async ({ t, call }) => {
    await refused(t, call('GET', { query: { delimiter: 'ab' } }), 400, 'InvalidArgument')
    const query = { marker: 'm'.repeat(1025) }
    await refused(t, call('GET', { query }), 400, 'InvalidArgument')
  },
  'ListObjectVersions: NotImplemented 501': async ({ t, call }) => {
    await refused(t, call('GET', { query: { versions: '' } }), 501, 'NotImplemented')
  },
})

section('7 multipart', {
  'Initiate: {bucket, key, uploadId}': async ({ t, call }) => {
    const { json } = await call('POST', { key: 'k', query: { uploads: '' } })
    t.match(json, { bucket: 'test-bucket', key: 'k', uploadId: String })
  },
  'part numbers are 1 to 10000, else InvalidArgument 400': async stage => {
    const { t, call } = stage
    const uploadId = await begin(stage)
    const put = async (partNumber: string) =>
      await call('PUT', { key: 'k', query: { uploadId, partNumber }, body: 'x' })
    await refused(t, put('0'), 400, 'InvalidArgument')
    await refused(t, put('10001'), 400, 'InvalidArgument')
    t.equal((await put('10000')).status, 200)
  },
  'the etag of two parts is - and the MD5 of their etags in hex; of one part its MD5':
    async stage => {
      const { t, get } = stage
      const large = 'a'.repeat(102_400)
      const uploadId = await begin(stage)
      const parts = [await part(stage, uploadId, 2, large), await part(stage, uploadId, 5, 'b')]
      const { json } = await complete(stage, uploadId, parts)
      const joined = parts.map(({ eTag }) => eTag).join('')
      t.equal(json?.['eTag'], `-${md5Of(Buffer.from(joined))}`)
      t.notOk('content-md5' in (await get('k')).headers)
      const single = await begin(stage)
      const one = await part(stage, single, 1, 'b')
      t.match((await complete(stage, single, [one])).json, { eTag: md5Of(Buffer.from('b')) })
    },
  'a small part that is not the last: EntityTooSmall 400, at Complete': async stage => {
    const uploadId = await begin(stage)
    const parts = [await part(stage, uploadId, 1, 'a'), await part(stage, uploadId, 2, 'b')]
    await refused(stage.t, complete(stage, uploadId, parts), 400, 'EntityTooSmall')
  },
  'descending: InvalidPartOrder; unknown part or other eTag: InvalidPart, all 400': async stage => {
    const uploadId = await begin(stage)
    const one = await part(stage, uploadId, 1, 'a')
    const two = await part(stage, uploadId, 2, 'b')
    await refused(stage.t, complete(stage, uploadId, [two, one]), 400, 'InvalidPartOrder')
    const unknown = { partNumber: 3, eTag: one.eTag }
    await refused(stage.t, complete(stage, uploadId, [one, unknown]), 400, 'InvalidPart')
    const other = { partNumber: 1, eTag: two.eTag }
    await refused(stage.t, complete(stage, uploadId, [other]), 400, 'InvalidPart')
  },
  'eTags in Complete may have quotes': async stage => {
    const uploadId = await begin(stage)
    const { eTag } = await part(stage, uploadId, 1, 'a')
    const quoted = [{ partNumber: 1, eTag: `"${eTag}"` }]
    stage.t.equal((await complete(stage, uploadId, quoted)).status, 200)
  },
  'a part sent again replaces the first': async stage => {
    const uploadId = await begin(stage)
    await part(stage, uploadId, 1, 'old')
    const again = await part(stage, uploadId, 1, 'new')
    await complete(stage, uploadId, [again])
    stage.t.equal((await stage.get('k')).body.toString(), 'new')
  },
  'Complete heeds conditions and takes metadata': async stage => {
    const { t, put, get } = stage
    await put('k', 'x')
    const uploadId = await begin(stage)
    const one = await part(stage, uploadId, 1, 'a')
    const never = complete(stage, uploadId, [one], { 'if-none-match': '*' })
    await refused(t, never, 412, 'PreconditionFailed')
    await complete(stage, uploadId, [one], { 'x-bce-meta-a': '1' })
    t.equal((await get('k')).headers['x-bce-meta-a'], '1')
  },
  'after Complete and after Abort the upload is NoSuchUpload 404': async stage => {
    const { t, call } = stage
    const uploadId = await begin(stage)
    const one = await part(stage, uploadId, 1, 'a')
    await complete(stage, uploadId, [one])
    await refused(t, complete(stage, uploadId, [one]), 404, 'NoSuchUpload')
    const other = await begin(stage)
    const abort = { key: 'k', query: { uploadId: other } }
    t.equal((await call('DELETE', abort)).status, 204)
    await refused(t, call('DELETE', abort), 404, 'NoSuchUpload')
  },
  'UploadPartCopy: {lastModified, eTag}, range with both ends': async stage => {
    const { t, call, put } = stage
    await put('s', 'hello')
    const uploadId = await begin(stage)
    const query = { uploadId, partNumber: '1' }
    const copy = async (range: string) =>
      await call('PUT', {
        key: 'k',
        query,
        headers: { 'x-bce-copy-source': '/test-bucket/s', 'x-bce-copy-source-range': range },
      })
    t.match((await copy('bytes=1-2')).json, { eTag: md5Of(Buffer.from('el')) })
    await refused(t, copy('bytes=1-'), 400, 'InvalidArgument')
  },
  'ListParts and ListUploads page by their markers': async stage => {
    const { t, call } = stage
    const uploadId = await begin(stage)
    for (const number of [1, 2, 3]) await part(stage, uploadId, number, 'x')
    const parts = await call('GET', { key: 'k', query: { uploadId, maxParts: '2' } })
    t.match(parts.json, { isTruncated: true, nextPartNumberMarker: 2, parts: [{}, {}] })
    await begin(stage, 'l')
    const uploads = await call('GET', { query: { uploads: '', maxUploads: '1' } })
    t.match(uploads.json, { isTruncated: true, nextKeyMarker: 'k', uploads: [{ key: 'k' }] })
  },
})

section('8 keys, dates, limits', {
  'a key has 1 to 1024 bytes, else InvalidObjectName 400': async ({ t, put }) => {
    t.equal((await put('k'.repeat(1024))).status, 200)
    await refused(t, put('k'.repeat(1025)), 400, 'InvalidObjectName')
    await refused(t, put('中'.repeat(342)), 400, 'InvalidObjectName')
  },
  'a leading /, // and .. components are InvalidObjectName, . is InvalidURI': async stage => {
    const { t, put } = stage
    for (const key of ['/a', 'a//b', '../a', 'a/..']) {
      await refused(t, put(key), 400, 'InvalidObjectName')
    }
    await refused(t, put('a/./b'), 400, 'InvalidURI')
    t.equal((await put('a..b/...')).status, 200)
  },
  'white space, %?#+&=, non-ASCII and emoji are accepted': async ({ t, put, get }) => {
    for (const key of [' a ', 'a%b', 'a?b#c', 'a+b&c=d', '中文', '😀', '\n']) {
      t.equal((await put(key, key)).status, 200, JSON.stringify(key))
      t.equal((await get(key)).body.toString(), key)
    }
  },
  'a body above 5 GiB: EntityTooLarge 400': async ({ t, call }) => {
    const headers = { 'content-length': String(5 * 2 ** 30 + 1), expect: '100-continue' }
    const reply = await call('PUT', { key: 'k', headers }).catch(() => undefined)
    t.ok(reply === undefined || reply.code === 'EntityTooLarge')
  },
  'dates are ISO 8601 in JSON and RFC 1123 in headers, in whole seconds': async stage => {
    const { t, call, put, get } = stage
    await put('k')
    t.match((await get('k')).headers['last-modified'], /^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$/)
    t.match((await call('GET')).json, {
      contents: [{ lastModified: /^\d{4}-\d\d-\d\dT[\d:]{8}Z$/ }],
    })
  },
})

section('11 what clients do that a strict server might refuse', {
  'Content-Type on GET, HEAD and DELETE, signed': async ({ t, call, put }) => {
    await put('k', 'x')
    const headers = { 'content-type': 'application/json; charset=UTF-8' }
    for (const signed of [undefined, 'implicit'] as const) {
      const more = signed === undefined ? { headers } : { headers, signed }
      t.equal((await call('GET', { key: 'k', ...more })).status, 200)
      t.equal((await call('HEAD', { key: 'k', ...more })).status, 200)
    }
    t.equal((await call('DELETE', { key: 'k', headers })).status, 204)
  },
  'listing with maxKeys 1 comes to its end': async ({ t, call, put }) => {
    for (const key of ['a', 'b/1', 'b/2', 'c']) await put(key)
    const seen: unknown[] = []
    let marker = ''
    for (let page = 0; page < 5; page++) {
      const { json } = await call('GET', { query: { delimiter: '/', maxKeys: '1', marker } })
      seen.push(...((json?.['contents'] ?? []) as { key: string }[]).map(({ key }) => key))
      seen.push(
        ...((json?.['commonPrefixes'] ?? []) as { prefix: string }[]).map(({ prefix }) => prefix),
      )
      const next = json?.['nextMarker']
      marker = typeof next === 'string' ? next : ''
      if (json?.['isTruncated'] !== true) break
    }
    t.strictSame(seen, ['a', 'b/', 'c'])
  },
  'x-bce-forbid-overwrite: false with every PUT': async ({ t, put }) => {
    for (const body of ['1', '2']) {
      t.equal((await put('k', body, { 'x-bce-forbid-overwrite': 'false' })).status, 200)
    }
  },
})
