import t from 'tap'
import {
  outcomeOf,
  parseErrorBody,
  refuseForeign,
  responseError,
} from '../../../src/driver/bos/answers.js'
import { BosError } from '../../../src/driver/bos/error.js'

void t.test('an error has the code of its body, or else of its status', async t => {
  const response = (status: number, body: string, headers = {}): BosError =>
    responseError({ status, headers, body: Buffer.from(body) }, 1_000_000)
  const json = '{"code":"NoSuchKey","message":"none","requestId":"r1"}'
  t.match(response(404, json), { code: 'NoSuchKey', requestId: 'r1', message: 'none' })
  t.match(response(404, ''), { code: 'NoSuchKey', status: 404 })
  t.match(response(403, '', { 'x-bce-request-id': 'r2' }), {
    code: 'AccessDenied',
    requestId: 'r2',
  })
  t.match(response(400, '<html>gateway</html>'), { code: 'Http400' })
  t.match(response(503, '{not json'), { code: 'Http503' })
  t.match(response(503, '', { 'retry-after': '7' }), { retryAfter: 7000 })
  const date = new Date(1_003_000).toUTCString()
  t.match(response(503, '', { 'retry-after': date, date }), {
    retryAfter: 3000,
    serverTime: 1_003_000,
  })
  t.equal(parseErrorBody(Buffer.from('{"eTag":"x"}')), undefined)
  t.equal(parseErrorBody(Buffer.from('[]')), undefined)
  t.equal(parseErrorBody(Buffer.from('{"contents":[{"userMeta":{"code":"x"}}]}')), undefined)
})

void t.test('only throttling lowers the load, and only an answer raises it', async t => {
  const failed = (details: object): string =>
    outcomeOf(new BosError('failed', { kind: 'response', ...details }))
  t.equal(failed({ status: 429 }), 'throttled')
  t.equal(failed({ status: 503 }), 'throttled')
  t.equal(failed({ status: 404 }), 'answered')
  t.equal(failed({ kind: 'network' }), 'failed')
  t.equal(outcomeOf(new Error('aborted')), 'failed')
})

void t.test('a page of HTML is no answer, an object that is HTML is one', async t => {
  const headers = { 'content-type': 'text/html; charset=utf-8' }
  t.throws(() => refuseForeign({ status: 200, headers }), {
    message: 'the answer is a web page and not from BOS',
  })
  refuseForeign({ status: 200, headers: { ...headers, etag: '"e"' } })
  refuseForeign({ status: 200, headers: { 'content-type': 'application/json' } })
})
