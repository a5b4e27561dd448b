import t from 'tap'
import type { BosCredentials } from '../../../src/driver/credentials/credentials.js'
import { createTransport } from '../../../src/driver/bos/transport.js'
import { systemClock } from '../../../src/util/clock.js'
import { Secret } from '../../../src/util/secret.js'
import { failure } from '../helpers.js'
import { BUCKET, CREDENTIALS, startDriverHarness } from './harness.js'

void t.test('a wrong clock is corrected once, for this client alone', async t => {
  const { api, log } = await startDriverHarness(t)
  const slow = { ...systemClock, now: () => Date.now() - 2 * 3_600_000 }
  const fast = { ...systemClock, now: () => Date.now() + 2 * 3_600_000 }
  for (const clock of [slow, fast]) {
    const own = api({ clock })
    log.length = 0
    await own.put('clock', Buffer.from('x'))
    await own.head('clock')
    t.same(
      log.map(entry => entry.status),
      clock === slow ? [400, 200, 200] : [403, 200, 200],
      'one repetition, and none after that',
    )
  }
  await api().head('clock')
  t.same(log.at(-1)?.status, 200, 'a client with a right clock is not disturbed')
})

void t.test('a refusal of HEAD, which has no code, may be the clock too', async t => {
  const { api, log } = await startDriverHarness(t)
  const clock = { ...systemClock, now: () => Date.now() + 2 * 3_600_000 }
  t.equal(await api({ clock }).find('nothing'), undefined)
  t.same(
    log.map(entry => entry.status),
    [403, 404],
  )
})

void t.test('refused credentials are asked for again once', async t => {
  const { api, log } = await startDriverHarness(t)
  const right = CREDENTIALS
  const wrong = { accessKeyId: right.accessKeyId, secretAccessKey: new Secret('old') }
  const asked: (BosCredentials | undefined)[] = []
  let current = wrong
  const rotating = api({
    credentials: refused => {
      asked.push(refused)
      if (refused !== undefined) current = right
      return current
    },
  })
  await rotating.put('rotated', Buffer.from('x'))
  t.same(asked, [undefined, wrong])
  t.equal(log.length, 2)
  const stubborn = api({ credentials: () => wrong })
  t.match(await failure(stubborn.head('rotated')), { kind: 'response', status: 403 })
  t.equal(log.length, 3, 'the same credentials are not tried twice')
})

void t.test('temporary credentials send their token, signed', async t => {
  const seen: unknown[] = []
  const { createServer } = await import('node:http')
  const server = createServer((request, response) => {
    seen.push(request.headers['x-bce-security-token'], request.headers.authorization, request.url)
    response.end()
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const transport = createTransport({
    origin: `http://127.0.0.1:${port}`,
    pathPrefix: `/${BUCKET}`,
    bucket: BUCKET,
    credentials: () => ({
      accessKeyId: 'ak',
      secretAccessKey: new Secret('sk'),
      sessionToken: new Secret('tok/en'),
    }),
  })
  t.teardown(async () => {
    await transport.close()
    server.close()
  })
  await transport.request({ method: 'GET', key: 'a//../b', params: { prefix: 'x y', uploads: '' } })
  t.equal(seen[0], 'tok/en')
  t.match(seen[1], /\/host;x-bce-date;x-bce-security-token\/[0-9a-f]{64}$/)
  t.equal(seen[2], `/${BUCKET}/a//../b?prefix=x%20y&uploads`)
  const url = await transport.presign('GET', 'k', 60_000)
  t.match(url, /k\?x-bce-security-token=tok%2Fen&authorization=bce-auth-v1%2Fak%2F/)
  t.match(url, /%2F60%2Fhost%2F[0-9a-f]{64}$/)
})
