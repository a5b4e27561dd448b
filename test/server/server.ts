import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startBosServer } from '../../src/server/server.js'
import { TestClient, textOf } from '../helpers/bos-client.js'
import {
  CREDENTIALS,
  dataFiles,
  md5Of,
  seededBytes,
  startHarness,
  temporaryDirectory,
} from '../helpers/bos-harness.js'

void t.test('a request is logged without its secrets', async t => {
  const now = () => Date.parse('2024-05-01T10:00:00.123Z')
  const { client, log } = await startHarness(t, { now })
  const put = await client.call('PUT', { key: 'k', body: 'hello' })
  await client.call('GET', { key: 'k' })
  await client.call('GET', { key: 'none' })
  t.strictSame(log[0], {
    time: '2024-05-01T10:00:00.123Z',
    method: 'PUT',
    operation: 'PutObject',
    bucket: 'test-bucket',
    key: 'k',
    status: 200,
    bytesIn: 5,
    bytesOut: 0,
    milliseconds: 0,
    requestId: put.headers['x-bce-request-id'],
  })
  t.match(log[1], { operation: 'GetObject', bytesIn: 0, bytesOut: 5 })
  t.match(log[2], { operation: 'GetObject', status: 404, code: 'NoSuchKey' })
})

void t.test('requests that are not signed right are refused', async t => {
  const { server, client } = await startHarness(t)
  t.match(await client.call('GET', { anonymous: true }), { status: 403, code: 'AccessDenied' })
  const other = new TestClient({ url: server.url, secretAccessKey: 'wrong' })
  t.teardown(() => other.close())
  const put = await other.call('PUT', { key: 'k', body: seededBytes(3_000_000) })
  t.match(put, { status: 403, code: 'SignatureDoesNotMatch' })
  t.equal((await client.call('HEAD', { key: 'k' })).status, 404)
  const headers = { authorization: 'nonsense' }
  const odd = await client.call('GET', { anonymous: true, headers })
  t.match(odd, { status: 400, code: 'InvalidHTTPAuthHeader' })
})

void t.test('the default set of signed headers and a token are understood', async t => {
  const credentials = [{ ...CREDENTIALS[0], sessionToken: 'token' }]
  const { server, client } = await startHarness(t, { credentials })
  t.equal((await client.call('GET')).code, 'InvalidSessionToken')
  const temporary = new TestClient({ url: server.url, sessionToken: 'token' })
  t.teardown(() => temporary.close())
  t.equal((await temporary.call('PUT', { key: 'k', body: 'x', signed: 'implicit' })).status, 200)
})

void t.test('a token ends when its time is over, and credentials can be replaced', async t => {
  let now = Date.parse('2024-05-01T10:00:00Z')
  const [credential] = CREDENTIALS
  const credentials = [{ ...credential, sessionToken: 'one', expires: now + 1000 }]
  const { server, client } = await startHarness(t, { credentials, now: () => now })
  const withToken = async (token: string) =>
    await client.call('GET', { headers: { 'x-bce-security-token': token } })
  t.equal((await withToken('one')).status, 200)
  now += 1000
  t.match(await withToken('one'), { status: 400, code: 'InvalidSessionToken' })
  server.setCredentials([{ ...credential, sessionToken: 'two' }])
  t.equal((await withToken('one')).code, 'InvalidSessionToken')
  t.equal((await withToken('two')).status, 200)
  server.setCredentials([{ accessKeyId: 'other', secretAccessKey: 'x' }])
  t.equal((await withToken('two')).code, 'InvalidAccessKeyId')
  const bad = [{ accessKeyId: 'a/b', secretAccessKey: 'x' }]
  t.throws(() => server.setCredentials(bad), { name: 'ServerStartError' })
  t.equal((await withToken('two')).code, 'InvalidAccessKeyId', 'a refused list changes nothing')
})

void t.test('a presigned URL needs no header', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { key: 'a b', body: 'hello' })
  const presign = (method: string, expires: number) => {
    const parts = { method, path: client.path('a b'), query: {}, headers: { host: client.host } }
    return { authorization: client.authorization(parts, { expires, signed: ['host'] }) }
  }
  const get = async (query: Record<string, string>) =>
    await client.call('GET', { key: 'a b', anonymous: true, query })
  t.equal((await get(presign('GET', 60))).body.toString(), 'hello')
  t.equal((await get(presign('GET', -1))).status, 200)
  t.match(await get(presign('PUT', 60)), { status: 403, code: 'SignatureDoesNotMatch' })
  t.match(await get({ ...presign('GET', 60), x: 'y' }), { code: 'SignatureDoesNotMatch' })
})

void t.test('buckets can be addressed by host, and by path unless refused', async t => {
  const { client } = await startHarness(t, { strict: { pathStyle: false } })
  const headers = { host: 'test-bucket.bj.bcebos.com' }
  const put = await client.call('PUT', { rawPath: '/a/b', body: 'x', headers })
  t.equal(put.status, 200)
  t.equal((await client.call('GET', { rawPath: '/a/b', headers })).body.toString(), 'x')
  t.match(await client.call('GET', { key: 'a/b' }), { status: 400, code: 'InvalidURI' })
  t.equal((await client.call('GET', { rawPath: '/' })).status, 200, 'listing buckets')
})

void t.test('a path may begin with /v1, which is signed as sent', async t => {
  const { client } = await startHarness(t)
  await client.call('PUT', { rawPath: '/v1/test-bucket/k', body: 'x' })
  t.equal((await client.call('GET', { key: 'k' })).body.toString(), 'x')
})

void t.test('everything is still there after a restart', async t => {
  const first = await startHarness(t)
  const body = seededBytes(300_000)
  await first.client.call('PUT', { key: 'big', body, headers: { 'x-bce-meta-a': '1' } })
  await first.client.call('PUT', { key: 'small', body: 'hello' })
  const started = await first.client.call('POST', { key: 'up', query: { uploads: '' } })
  const query = { uploadId: textOf(started, 'uploadId'), partNumber: '1' }
  const part = await first.client.call('PUT', { key: 'up', query, body: 'part' })
  await first.server.close()
  await first.server.close()

  const { client } = await startHarness(t, { dataDirectory: first.directory })
  const big = await client.call('GET', { key: 'big' })
  t.ok(big.body.equals(body))
  t.equal(big.headers['x-bce-meta-a'], '1')
  t.equal((await client.call('GET', { key: 'small' })).body.toString(), 'hello')
  const parts = JSON.stringify({ parts: [{ partNumber: 1, eTag: part.headers.etag }] })
  const complete = { key: 'up', query: { uploadId: query.uploadId }, body: parts }
  t.equal((await client.call('POST', complete)).status, 200)
})

void t.test('with sync, changes are made as well', async t => {
  const { client } = await startHarness(t, { sync: true })
  const body = seededBytes(100_000)
  t.equal((await client.call('PUT', { key: 'big', body })).status, 200)
  t.equal((await client.call('PUT', { key: 'small', body: 'x' })).status, 200)
  t.ok((await client.call('GET', { key: 'big' })).body.equals(body))
  t.equal((await client.call('DELETE', { key: 'big' })).status, 204)
})

void t.test('what was confirmed survives kill -9, and nothing half done shows', async t => {
  const directory = temporaryDirectory(t)
  const script = fileURLToPath(new URL('../helpers/server-process.js', import.meta.url))
  const child = spawn(process.execPath, [script, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const client = new TestClient({ url })
  t.teardown(() => client.close())

  const confirmed = new Map<string, string>()
  const sizeOf = (index: number) => (index % 3 === 0 ? 200_000 + index : 10 + index)
  let next = 0
  const write = async () => {
    for (;;) {
      const index = next++
      const key = `k${index % 40}`
      // Not known until the answer has come: the object may be the old or the new one.
      const etag = md5Of(seededBytes(sizeOf(index)))
      try {
        await client.call('PUT', { key: `${key}/${index}`, body: seededBytes(sizeOf(index)) })
        confirmed.set(`${key}/${index}`, etag)
      } catch {
        return
      }
      if (index === 120) child.kill('SIGKILL')
    }
  }
  await Promise.all(Array.from({ length: 6 }, write))
  await exited
  t.ok(confirmed.size >= 100, `${confirmed.size} PUTs were confirmed`)

  const second = await startHarness(t, { dataDirectory: directory })
  for (const [key, etag] of confirmed) {
    const get = await second.client.call('GET', { key })
    if (md5Of(get.body) !== etag) t.fail(`${key} has changed`)
  }
  const list = await second.client.call('GET')
  const contents = list.json?.['contents'] as readonly { key: string; eTag: string; size: number }[]
  for (const { key, eTag, size } of contents) {
    const get = await second.client.call('GET', { key })
    if (get.body.length !== size || md5Of(get.body) !== eTag) t.fail(`${key} is not whole`)
  }
  const large = contents.filter(entry => entry.size > 100_000)
  t.equal(dataFiles(directory).length, large.length, 'no file is left that no object refers to')
})

void t.test('a data directory admits one server at a time', async t => {
  const { server, client, directory } = await startHarness(t)
  const again = { dataDirectory: directory, buckets: [], credentials: CREDENTIALS }
  await t.rejects(startBosServer(again), { name: 'ServerStartError', message: /in use by process/ })
  t.equal((await client.call('PUT', { key: 'k', body: 'x' })).status, 200, 'the first works on')
  await server.close()
  const second = await startBosServer(again)
  await second.close()
})

void t.test('reasons not to start are told', async t => {
  const { server } = await startHarness(t)
  const base = { buckets: [], credentials: CREDENTIALS }
  const start = async (options: object) => {
    await startBosServer({ ...base, dataDirectory: temporaryDirectory(t), ...options })
  }
  const refused = async (options: object, message: RegExp) => {
    await t.rejects(start(options), { name: 'ServerStartError', message })
  }
  await refused({ buckets: ['No'] }, /bucket name "No"/)
  await refused({ port: server.port }, /port is in use/)
  await refused({ credentials: [{ accessKeyId: 'a/b', secretAccessKey: 'x' }] }, /access key id/)

  const foreign = temporaryDirectory(t)
  writeFileSync(join(foreign, 'precious'), '')
  await refused({ dataDirectory: foreign }, /not empty and not a data directory/)
  const newer = temporaryDirectory(t)
  writeFileSync(join(newer, 'format.json'), '{"format":"bosmount-server","version":2}')
  await refused({ dataDirectory: newer }, /format version 2/)
  writeFileSync(join(newer, 'format.json'), '{}')
  await refused({ dataDirectory: newer }, /not this server's/)
  const file = join(foreign, 'precious')
  await refused({ dataDirectory: file }, /cannot use .* as data directory/)
})

void t.test('after a failed start the directory is free again', async t => {
  const { server } = await startHarness(t)
  const dataDirectory = temporaryDirectory(t)
  const options = { dataDirectory, buckets: [], credentials: CREDENTIALS }
  await t.rejects(startBosServer({ ...options, port: server.port }))
  await (await startBosServer(options)).close()
})

void t.test('close lets a running request finish', async t => {
  const { server, client } = await startHarness(t)
  server.faults.add({ operation: 'PutObject', fault: { kind: 'delay', delay: 60_000 } })
  const putting = client.call('PUT', { key: 'k', body: 'x' })
  while ((await client.call('GET')).status !== 200);
  await server.close()
  t.equal((await putting).status, 200)
})

void t.test('close cuts off what does not finish', async t => {
  const { server, client } = await startHarness(t, { closeTimeout: 50 })
  const path = client.path('k')
  const headers = { host: client.host, 'x-bce-date': `${new Date().toISOString().slice(0, 19)}Z` }
  const authorization = client.authorization({ method: 'PUT', path, query: {}, headers })
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  socket.write(
    `PUT ${path} HTTP/1.1\r\nHost: ${headers.host}\r\nx-bce-date: ${headers['x-bce-date']}\r\n` +
      `Authorization: ${authorization}\r\nContent-Length: 100\r\n\r\nabc`,
  )
  t.equal((await client.call('GET')).status, 200)
  await server.close()
  await closed
})

void t.test('what is not HTTP gets a 400', async t => {
  const { server } = await startHarness(t)
  const socket = connect(server.port, '127.0.0.1')
  socket.end('nonsense\r\n\r\n')
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  t.match(answer, /^HTTP\/1.1 400 /)
})
