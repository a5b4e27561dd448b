import t from 'tap'
import { textOf } from './client.js'
import { startHarness } from './harness.js'

void t.test('an object is stored, described, read and deleted', async t => {
  const { client } = await startHarness(t)
  const put = await client.call('PUT', {
    key: 'a/b.txt',
    body: 'hello',
    headers: { 'x-bce-meta-colour': 'blue' },
  })
  t.equal(put.status, 200)
  t.equal(put.headers.etag, '"5d41402abc4b2a76b9719d911017c592"')
  t.equal(put.body.length, 0)
  const head = await client.call('HEAD', { key: 'a/b.txt' })
  t.equal(head.status, 200)
  t.equal(head.headers['content-length'], '5')
  t.equal(head.headers['x-bce-meta-colour'], 'blue')
  t.equal(head.headers['content-type'], 'text/plain')
  const get = await client.call('GET', { key: 'a/b.txt' })
  t.equal(get.body.toString(), 'hello')
  const part = await client.call('GET', { key: 'a/b.txt', headers: { range: 'bytes=1-2' } })
  t.equal(part.status, 206)
  t.equal(part.body.toString(), 'el')
  t.equal(part.headers['content-range'], 'bytes 1-2/5')
  const list = await client.call('GET', { query: { delimiter: '/' } })
  t.strictSame(list.json?.['commonPrefixes'], [{ prefix: 'a/' }])
  t.equal((await client.call('DELETE', { key: 'a/b.txt' })).status, 204)
  t.equal((await client.call('DELETE', { key: 'a/b.txt' })).code, 'NoSuchKey')
  t.equal((await client.call('GET', { key: 'a/b.txt' })).status, 404)
})

void t.test('a multipart upload becomes an object', async t => {
  const { client } = await startHarness(t)
  const key = 'big'
  const started = await client.call('POST', { key, query: { uploads: '' } })
  const uploadId = textOf(started, 'uploadId')
  const one = Buffer.alloc(200_000, 1)
  const two = Buffer.alloc(10, 2)
  const parts = []
  for (const [index, body] of [one, two].entries()) {
    const query = { uploadId, partNumber: String(index + 1) }
    const reply = await client.call('PUT', { key, query, body })
    t.equal(reply.status, 200)
    parts.push({ partNumber: index + 1, eTag: reply.headers.etag })
  }
  const query = { uploadId }
  const done = await client.call('POST', { key, query, body: JSON.stringify({ parts }) })
  t.equal(done.status, 200)
  t.match(done.json?.['eTag'], /^-[0-9a-f]{32}$/)
  const get = await client.call('GET', { key, headers: { range: 'bytes=199990-' } })
  t.strictSame(get.body, Buffer.concat([one, two]).subarray(199_990))
  const again = await client.call('POST', { key, query, body: JSON.stringify({ parts }) })
  t.equal(again.code, 'NoSuchUpload')
})
