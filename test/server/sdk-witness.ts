/**
 * The client of @baiducloud/sdk as it comes, with its own transport, as a witness that is not of this
 * project: what it sends the server understands, and what the server answers it understands.
 *
 * Loaded through `createRequire` because the package has no types for what is used here.
 */
import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY } from '../helpers/bos-client.js'
import { md5Of, seededBytes, startHarness, temporaryDirectory } from '../helpers/bos-harness.js'
import type { BosServerOptions } from '../../src/server/server.js'

interface Answer {
  readonly http_headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

/** The body of an object: the SDK hands it over as bytes. */
function bytesOf({ body }: Answer): Buffer {
  if (!Buffer.isBuffer(body)) throw new Error('the body is not bytes')
  return body
}

function textOf(answer: Answer): string {
  return bytesOf(answer).toString()
}

type Call = (...args: readonly unknown[]) => Promise<Answer>
type SdkClient = Readonly<Record<string, Call>>

const require = createRequire(import.meta.url)
const BosClient = require('@baiducloud/sdk/src/bos_client.js') as new (config: object) => SdkClient

const BUCKET = 'test-bucket'

async function startSdk(t: Test, options: Partial<BosServerOptions> = {}, config: object = {}) {
  const harness = await startHarness(t, options)
  const client = new BosClient({
    endpoint: harness.server.url,
    credentials: { ak: ACCESS_KEY_ID, sk: SECRET_ACCESS_KEY },
    ...config,
  })
  /** Calls a method of the SDK; its promises are not native ones. */
  const call = async (name: string, ...args: readonly unknown[]): Promise<Answer> => {
    const method = client[name]
    if (method === undefined) throw new Error(`the SDK has no ${name}`)
    return await method.apply(client, [...args])
  }
  return { ...harness, client, call }
}

void t.test('buckets are made, found, listed, located and deleted', async t => {
  const { call } = await startSdk(t)
  await call('createBucket', 'another')
  const { body } = await call('listBuckets')
  t.match(body, { owner: { id: String }, buckets: [{ name: 'another' }, { name: BUCKET }] })
  await call('headBucket', 'another')
  t.match((await call('getBucketLocation', 'another')).body, { locationConstraint: 'bj' })
  await call('deleteBucket', 'another')
  await t.rejects(call('getBucketLocation', 'another'), { status_code: 404, code: 'NoSuchBucket' })
})

void t.test(
  'an object is put from memory and from a file, described, read and deleted',
  async t => {
    const { call } = await startSdk(t)
    const body = seededBytes(300_000)
    const put = await call('putObject', BUCKET, 'a b/中 (1)!.bin', body, {
      'Content-Type': 'application/x-test',
      'x-bce-meta-colour': 'blue',
    })
    t.equal(put.http_headers['etag'], md5Of(body))
    const { http_headers: head } = await call('getObjectMetadata', BUCKET, 'a b/中 (1)!.bin')
    t.match(head, {
      etag: md5Of(body),
      'content-length': '300000',
      'content-type': 'application/x-test',
      'x-bce-meta-colour': 'blue',
    })
    const whole = await call('getObject', BUCKET, 'a b/中 (1)!.bin')
    t.ok(body.equals(bytesOf(whole)))
    const part = await call('getObject', BUCKET, 'a b/中 (1)!.bin', '10-19')
    t.ok(body.subarray(10, 20).equals(bytesOf(part)))

    const file = join(temporaryDirectory(t), 'file.txt')
    await writeFile(file, 'from a file')
    await call('putObjectFromFile', BUCKET, 'file.txt', file)
    await call('putObjectFromString', BUCKET, 'empty', '')
    const target = `${file}.back`
    await call('getObjectToFile', BUCKET, 'file.txt', target)
    t.equal(textOf(await call('getObject', BUCKET, 'file.txt')), 'from a file')

    await call('deleteObject', BUCKET, 'file.txt')
    await t.rejects(call('deleteObject', BUCKET, 'file.txt'), {
      status_code: 404,
      code: 'NoSuchKey',
    })
    const gone = call('getObjectMetadata', BUCKET, 'file.txt')
    t.match(await gone.catch((error: unknown) => error), { status_code: 404 })
  },
)

void t.test('objects are listed page by page, and deleted many at once', async t => {
  const { call } = await startSdk(t)
  for (const key of ['a', 'd/1', 'd/2', 'e', 'f']) await call('putObject', BUCKET, key, 'x')
  const first = await call('listObjects', BUCKET, { delimiter: '/', maxKeys: 2 })
  t.match(first.body, {
    isTruncated: true,
    contents: [{ key: 'a', eTag: md5Of(Buffer.from('x')), size: 1 }],
    commonPrefixes: [{ prefix: 'd/' }],
  })
  const marker = first.body['nextMarker']
  const rest = await call('listObjects', BUCKET, { delimiter: '/', marker })
  t.match(rest.body, { isTruncated: false, contents: [{ key: 'e' }, { key: 'f' }] })
  const objects = ['a', 'd/1', 'none'].map(key => ({ key }))
  const deleted = await call('deleteMultipleObjects', BUCKET, objects)
  t.match(deleted.body, { errors: [{ key: 'none', code: 'NoSuchKey' }] })
  t.match((await call('listObjects', BUCKET)).body, { contents: [{}, {}, {}] })
})

void t.test('an object is copied inside the server, with new metadata or its own', async t => {
  const { call } = await startSdk(t)
  await call('putObject', BUCKET, 'k ü', 'hello', { 'x-bce-meta-a': '1' })
  const copy = await call('copyObject', BUCKET, 'k ü', BUCKET, 'same')
  t.match(copy.body, { eTag: md5Of(Buffer.from('hello')), lastModified: /Z$/ })
  await call('copyObject', BUCKET, 'k ü', BUCKET, 'other', { 'x-bce-meta-b': '2' })
  const { http_headers: same } = await call('getObjectMetadata', BUCKET, 'same')
  t.equal(same['x-bce-meta-a'], '1')
  const { http_headers: other } = await call('getObjectMetadata', BUCKET, 'other')
  t.match(other, { 'x-bce-meta-a': undefined, 'x-bce-meta-b': '2' })
})

void t.test('an object is uploaded in parts, sent and copied', async t => {
  const { call } = await startSdk(t)
  const body = seededBytes(350_000)
  const file = join(temporaryDirectory(t), 'file')
  await writeFile(file, body)
  await call('putObject', BUCKET, 'source', body)
  const started = await call('initiateMultipartUpload', BUCKET, 'k', { 'x-bce-meta-a': '1' })
  const uploadId = started.body['uploadId']
  t.match((await call('listMultipartUploads', BUCKET)).body, { uploads: [{ key: 'k', uploadId }] })
  const stream = createReadStream(file, { start: 0, end: 149_999 })
  stream.destroy()
  const sent = await call('uploadPart', BUCKET, 'k', uploadId, 1, 150_000, stream)
  const from = { start: 150_000, size: 50_000 }
  const more = await call(
    'uploadPartFromFile',
    BUCKET,
    'k',
    uploadId,
    2,
    from.size,
    file,
    from.start,
  )
  const range = '200000-349999'
  const copied = await call('uploadPartCopy', BUCKET, 'source', BUCKET, 'k', uploadId, 3, range)
  const listed = await call('listParts', BUCKET, 'k', uploadId)
  t.match(listed.body, { parts: [{ size: 150_000 }, { size: 50_000 }, { size: 150_000 }] })
  const parts = [
    { partNumber: 1, eTag: sent.http_headers['etag'] },
    { partNumber: 2, eTag: more.http_headers['etag'] },
    { partNumber: 3, eTag: copied.body['eTag'] },
  ]
  await t.rejects(call('completeMultipartUpload', BUCKET, 'k', uploadId, parts), {
    status_code: 400,
    code: 'EntityTooSmall',
  })
  await call('uploadPartFromFile', BUCKET, 'k', uploadId, 2, 150_000, file, 150_000)
  const again = await call('listParts', BUCKET, 'k', uploadId)
  const eTags = (again.body['parts'] as readonly { eTag: string }[]).map(({ eTag }) => eTag)
  const two = eTags.slice(0, 2).map((eTag, index) => ({ partNumber: index + 1, eTag }))
  const done = await call('completeMultipartUpload', BUCKET, 'k', uploadId, two)
  t.match(done.body, { bucket: BUCKET, key: 'k', eTag: /^-[0-9a-f]{32}$/ })
  const get = await call('getObject', BUCKET, 'k')
  t.ok(body.subarray(0, 300_000).equals(bytesOf(get)))

  const abandoned = (await call('initiateMultipartUpload', BUCKET, 'x')).body['uploadId']
  await call('abortMultipartUpload', BUCKET, 'x', abandoned)
  await t.rejects(call('listParts', BUCKET, 'x', abandoned), { code: 'NoSuchUpload' })
})

void t.test('an object grows by appending', async t => {
  const { call } = await startSdk(t)
  const first = await call('appendObjectFromString', BUCKET, 'log', 'one,', 0)
  t.equal(first.http_headers['x-bce-next-append-offset'], '4')
  await call('appendObjectFromString', BUCKET, 'log', 'two', 4)
  t.equal(textOf(await call('getObject', BUCKET, 'log')), 'one,two')
  await t.rejects(call('appendObjectFromString', BUCKET, 'log', 'x', 5), {
    status_code: 409,
    code: 'OffsetIncorrect',
  })
})

void t.test('a symbolic link is made and read', async t => {
  const { call } = await startSdk(t)
  await call('putObject', BUCKET, 'target', 'hello')
  await call('putSymlink', BUCKET, 'link', 'target')
  const link = await call('getSymlink', BUCKET, 'link')
  t.equal(link.http_headers['x-bce-symlink-target'], 'target')
  t.equal(textOf(await call('getObject', BUCKET, 'link')), 'hello')
})

void t.test('access control lists are set and read', async t => {
  const { call } = await startSdk(t)
  await call('setBucketCannedAcl', BUCKET, 'public-read')
  const { body } = await call('getBucketAcl', BUCKET)
  t.match(body, { accessControlList: [{}, { grantee: [{ id: '*' }], permission: ['READ'] }] })
  const grants = [{ grantee: [{ id: '*' }], permission: ['READ'] }]
  await call('setBucketAcl', BUCKET, grants)
  await call('putObject', BUCKET, 'k', 'x')
  await call('putObjectAcl', BUCKET, 'k', grants)
  t.match((await call('getObjectAcl', BUCKET, 'k')).body, { accessControlList: [{}, ...grants] })
  await call('deleteObjectAcl', BUCKET, 'k', {})
})

void t.test('a presigned URL of either form works in a plain HTTP client', async t => {
  const { call, client } = await startSdk(t)
  await call('putObject', BUCKET, 'a b.txt', 'hello')
  const presign = client['generatePresignedUrl'] as unknown as (...args: unknown[]) => string
  const now = Math.floor(Date.now() / 1000)
  for (const config of [{}, { removeVersionPrefix: true }]) {
    const url = presign.call(client, BUCKET, 'a b.txt', now, 60, {}, {}, undefined, config)
    t.equal(url.includes('/v1/'), !('removeVersionPrefix' in config))
    t.strictSame(await get(url), { status: 200, body: 'hello' })
  }
  const params = { 'x-bce-range': '1-2', responseContentType: 'text/x' }
  const part = presign.call(client, BUCKET, 'a b.txt', now, 60, {}, params)
  t.strictSame(await get(part), { status: 206, body: 'el' })
  const old = presign.call(client, BUCKET, 'a b.txt', now - 100, 60, {}, {})
  t.equal((await get(old)).status, 400)
})

void t.test('a session token goes with every request', async t => {
  const credential = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY }
  const credentials = [{ ...credential, sessionToken: 'a token/+=' }]
  const good = await startSdk(t, { credentials }, { sessionToken: 'a token/+=' })
  await good.call('putObject', BUCKET, 'k', 'x')
  t.equal(textOf(await good.call('getObject', BUCKET, 'k')), 'x')
  const bad = new BosClient({
    endpoint: good.server.url,
    credentials: { ak: ACCESS_KEY_ID, sk: SECRET_ACCESS_KEY },
    sessionToken: 'old',
  })
  await t.rejects(async () => await bad['listBuckets']?.call(bad), {
    status_code: 400,
    code: 'InvalidSessionToken',
  })
})

async function get(url: string): Promise<{ status: number | undefined; body: string }> {
  return await new Promise((resolve, reject) => {
    request(url, { agent: false }, response => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => resolve({ status: response.statusCode, body }))
    })
      .on('error', reject)
      .end()
  })
}
