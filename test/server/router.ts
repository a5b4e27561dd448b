import t from 'tap'
import { ServiceError } from '../../src/server/errors.js'
import { chooseOperation, parseTarget } from '../../src/server/router.js'

function target(url: string, host = '127.0.0.1:80', buckets: readonly string[] = ['bkt']) {
  return parseTarget({ url, host, isBucket: name => buckets.includes(name) })
}

function place(url: string, host?: string): string {
  const { bucket, key } = target(url, host)
  return `${bucket} ${key}`
}

void t.test('path style names bucket and key', async t => {
  t.equal(place('/'), ' ')
  t.equal(place('/bkt'), 'bkt ')
  t.equal(place('/bkt/'), 'bkt ')
  t.equal(place('/bkt/a/b%20c%2Fd+e?x=1'), 'bkt a/b c/d+e')
  t.equal(place('/bkt//a'), 'bkt /a')
  t.equal(place('/bkt/a/'), 'bkt a/')
  t.equal(place('/bkt/a', 'bj.bcebos.com'), 'bkt a')
  t.equal(place('/bkt/a', '[::1]:80'), 'bkt a')
  t.equal(place('/bkt/a', 'localhost:80'), 'bkt a')
  t.equal(place('/bkt/a', 'bos.example.org'), 'bkt a', 'a first label that is no bucket')
})

void t.test('the host names the bucket in virtual-host style', async t => {
  t.equal(place('/a/b', 'bkt.bj.bcebos.com'), 'bkt a/b')
  t.equal(place('/a', 'unknown.bj.bcebos.com'), 'unknown a')
  t.equal(place('/a', 'bkt.localhost:8010'), 'bkt a')
  t.equal(place('/a', 'bkt.example.org'), 'bkt a')
  t.equal(target('/a', 'bkt.localhost').pathStyle, false)
})

void t.test('a leading /v1 is taken away where it cannot begin a key', async t => {
  t.equal(place('/v1/bkt/a'), 'bkt a')
  t.equal(place('/v1'), ' ')
  t.equal(place('/bkt/v1/a'), 'bkt v1/a')
  t.equal(place('/v1/a', 'bkt.localhost'), 'bkt v1/a')
  t.equal(place('/v1/a?authorization=x', 'bkt.localhost'), 'bkt a')
  t.equal(target('/v1/bkt/a').rawPath, '/v1/bkt/a')
})

void t.test('a query is decoded once, names and values', async t => {
  const { query } = target('/bkt?uploads&prefix=a%2fb+c&x=%2525&=')
  t.ok(query.has('uploads'))
  t.equal(query.get('prefix'), 'a/b c')
  t.equal(query.get('x'), '%25')
  t.equal(query.get('missing'), undefined)
})

void t.test('broken escapes are refused', async t => {
  for (const url of ['/bkt/%', '/bkt/%zz', '/bkt/%ff', '/bkt?a=%f']) {
    t.throws(() => target(url), { code: 'InvalidURI', status: 400 }, url)
  }
})

void t.test('method, query and headers choose the operation', async t => {
  const cases: readonly [string, string, string, string?][] = [
    ['GET', '/', 'ListBuckets'],
    ['GET', '/bkt', 'ListObjects'],
    ['GET', '/bkt?location', 'GetBucketLocation'],
    ['GET', '/bkt?uploads', 'ListMultipartUploads'],
    ['HEAD', '/bkt', 'HeadBucket'],
    ['PUT', '/bkt', 'PutBucket'],
    ['DELETE', '/bkt', 'DeleteBucket'],
    ['POST', '/bkt?delete', 'DeleteMultipleObjects'],
    ['GET', '/bkt/k', 'GetObject'],
    ['HEAD', '/bkt/k', 'HeadObject'],
    ['PUT', '/bkt/k', 'PutObject'],
    ['DELETE', '/bkt/k', 'DeleteObject'],
    ['PUT', '/bkt/k', 'CopyObject', 'x-bce-copy-source'],
    ['POST', '/bkt/k', 'RenameObject', 'x-bce-rename-key'],
    ['PUT', '/bkt/k', 'RenameObject', 'x-bce-rename-key'],
    ['POST', '/bkt/k?uploads', 'InitiateMultipartUpload'],
    ['PUT', '/bkt/k?partNumber=1&uploadId=u', 'UploadPart'],
    ['PUT', '/bkt/k?partNumber=1&uploadId=u', 'UploadPartCopy', 'x-bce-copy-source'],
    ['POST', '/bkt/k?uploadId=u', 'CompleteMultipartUpload'],
    ['DELETE', '/bkt/k?uploadId=u', 'AbortMultipartUpload'],
    ['GET', '/bkt/k?uploadId=u', 'ListParts'],
    ['POST', '/bkt/k?append&offset=3', 'AppendObject'],
    ['PUT', '/bkt/k?symlink', 'PutSymlink'],
    ['GET', '/bkt?acl', 'GetBucketAcl'],
    ['GET', '/bkt?versions', 'Unsupported'],
    ['GET', '/bkt/k?versionId=1', 'Unsupported'],
    ['GET', '/bkt/k?versionId=null', 'GetObject'],
  ]
  for (const [method, url, expected, header] of cases) {
    const request = { method, target: target(url), hasHeader: (name: string) => name === header }
    t.equal(chooseOperation(request), expected, `${method} ${url}`)
  }
})

void t.test('a method that a resource does not have is refused', async t => {
  for (const [method, url] of [
    ['PUT', '/'],
    ['POST', '/bkt'],
    ['PATCH', '/bkt'],
    ['POST', '/bkt/k'],
    ['OPTIONS', '/bkt/k'],
  ] as const) {
    const request = { method, target: target(url), hasHeader: () => false }
    const refusal = new ServiceError('MethodNotAllowed')
    t.throws(() => chooseOperation(request), refusal, `${method} ${url}`)
  }
})
