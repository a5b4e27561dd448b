import t from 'tap'
import {
  authenticate,
  parseAuthorization,
  sign,
  type SignedRequest,
} from '../../src/server/auth.js'
import { ServiceError } from '../../src/server/errors.js'

interface Vector {
  readonly name: string
  readonly keys: readonly [string, string]
  readonly request: SignedRequest
  readonly authorization: string
}

// Published examples and values computed by independent implementations.
const VECTORS: readonly Vector[] = [
  {
    name: 'a PUT with query and metadata',
    keys: ['my_ak', 'my_sk'],
    request: {
      method: 'PUT',
      rawPath: '/v1/bucket/object1',
      query: [
        ['A', ''],
        ['b', ''],
        ['C', 'd'],
      ],
      headers: { host: 'bce.baidu.com', abc: '123', 'x-bce-meta-key1': 'ABC' },
    },
    authorization:
      'bce-auth-v1/my_ak/2014-06-13T05:57:36Z/1800/host;x-bce-meta-key1/' +
      '80c9672aca2ea9af4bb40b9a8ff458d72df94e97d550840727f3a929af271d25',
  },
  {
    name: 'a DELETE that signs content headers only',
    keys: ['my_ak', 'my_sk'],
    request: {
      method: 'DELETE',
      rawPath: '/v1/test-bucket1361199862',
      query: [],
      headers: { 'content-type': 'application/json; charset=utf-8', 'content-length': '0' },
    },
    authorization:
      'bce-auth-v1/my_ak/2014-06-13T05:57:36Z/1800/content-length;content-type/' +
      'c9386b15d585960ae5e6972f73ed92a9a682dc81025480ba5b41206d3e489822',
  },
  {
    name: 'a part with the default set of signed headers',
    keys: ['a'.repeat(32), 'b'.repeat(32)],
    request: {
      method: 'PUT',
      rawPath: '/test/myfolder/readme.txt',
      query: [
        ['partNumber', '9'],
        ['uploadId', 'a44cc9bab11cbd156984767aad637851'],
      ],
      headers: {
        host: 'bj.bcebos.com',
        'content-length': '8',
        'content-md5': 'NFzcPqhviddjRNnSOGo4rw==',
        'content-type': 'text/plain',
        'x-bce-date': '2015-04-27T08:23:49Z',
      },
    },
    authorization:
      `bce-auth-v1/${'a'.repeat(32)}/2015-04-27T08:23:49Z/1800//` +
      '1816c10fce34ba9c9825eddc05fd6058bf82e05fefeddee8da6f869486ea68c0',
  },
  {
    name: 'header lines whose order differs from that of the names',
    keys: ['ak', 'sk'],
    request: {
      method: 'PUT',
      rawPath: '/b/k',
      query: [],
      headers: { host: 'h', 'x-bce-meta-a': '1', 'x-bce-meta-a-b': '2' },
    },
    authorization:
      'bce-auth-v1/ak/2023-11-14T22:13:20Z/1800/host;x-bce-meta-a-b;x-bce-meta-a/' +
      '065a1af9ad2e3f82f678fc081a15cb5e003d1a050463d5919e1b91df29bcaf07',
  },
]

for (const { name, keys, request, authorization } of VECTORS) {
  void t.test(`the signature of ${name} is the published one`, async t => {
    const parsed = parseAuthorization(authorization)
    t.equal(sign(request, parsed, keys[1]), parsed.signature)
  })
}

const KEYS = { accessKeyId: 'ak', secretAccessKey: 'sk' }
const NOW = Date.parse('2023-11-14T22:13:20Z')

function signed(
  change: Partial<SignedRequest> = {},
  options: { stamp?: string; expires?: number; names?: readonly string[]; secret?: string } = {},
): SignedRequest & { headers: Record<string, string> } {
  const {
    stamp = '2023-11-14T22:13:20Z',
    expires = 1800,
    names = ['host'],
    secret = 'sk',
  } = options
  const request = {
    method: 'GET',
    rawPath: '/bucket/key',
    query: [],
    ...change,
    headers: { host: 'h', 'x-bce-date': stamp, ...change.headers } as Record<string, string>,
  }
  const parts = { accessKeyId: 'ak', timestamp: stamp, expires, signedHeaders: names }
  const signature = sign(request, parts, secret)
  request.headers['authorization'] =
    `bce-auth-v1/ak/${stamp}/${expires}/${names.join(';')}/${signature}`
  return request
}

function outcome(
  request: SignedRequest,
  context: { now?: number; hostSigned?: boolean; sessionToken?: string } = {},
): string {
  const { now = NOW, hostSigned = true, sessionToken } = context
  const credential = sessionToken === undefined ? KEYS : { ...KEYS, sessionToken }
  try {
    return authenticate(request, { credentials: new Map([['ak', credential]]), now, hostSigned })
  } catch (error) {
    if (error instanceof ServiceError) return `${error.status} ${error.code}`
    throw error
  }
}

void t.test('a request signed with the right secret passes', async t => {
  t.equal(outcome(signed()), 'ak')
  t.equal(outcome(signed({}, { names: [] })), 'ak', 'with the default set of headers')
  t.equal(outcome(signed({ rawPath: '/b/%e4%b8%ad%21' })), 'ak', 'escapes in lower case')
})

void t.test('each way to fail has its code', async t => {
  const { authorization: _, ...anonymous } = signed().headers
  const cases: readonly [string, SignedRequest, string][] = [
    ['no authorization', { ...signed(), headers: anonymous }, '403 AccessDenied'],
    ['another secret', signed({}, { secret: 'no' }), '403 SignatureDoesNotMatch'],
    ['another path', { ...signed(), rawPath: '/bucket/other' }, '403 SignatureDoesNotMatch'],
    ['another query', { ...signed(), query: [['a', 'b']] }, '403 SignatureDoesNotMatch'],
    ['host not signed', signed({}, { names: ['x-bce-date'] }), '400 InvalidHTTPAuthHeader'],
  ]
  for (const [name, request, expected] of cases) t.equal(outcome(request), expected, name)
  t.equal(outcome(signed({}, { names: ['x-bce-date'] }), { hostSigned: false }), 'ak')
})

void t.test('malformed authorization strings are refused as such', async t => {
  const good = signed().headers['authorization'] ?? ''
  const bad = [
    'nonsense',
    good.replace('bce-auth-v1', 'bce-auth-v2'),
    good.replace('/1800/', '/soon/'),
    good.replace('2023-11-14T22:13:20Z', '2023-11-14'),
    good.replace('2023-11-14T22:13:20Z', '2023-13-41T22:13:20Z'),
    `${good}/more`,
    good.slice(0, -1),
    good.replace('/ak/', '//'),
  ]
  for (const authorization of bad) {
    const request = signed()
    const headers = { ...request.headers, authorization }
    t.equal(outcome({ ...request, headers }), '400 InvalidHTTPAuthHeader', authorization)
  }
  const headers = { ...signed().headers, authorization: good.replace('/ak/', '/who/') }
  t.equal(outcome({ ...signed(), headers }), '403 InvalidAccessKeyId')
})

void t.test('a signature holds from its time to its expiry', async t => {
  t.equal(outcome(signed(), { now: NOW + 1800_000 }), 'ak')
  t.equal(outcome(signed(), { now: NOW + 1801_000 }), '400 RequestExpired')
  t.equal(outcome(signed({}, { expires: -1 }), { now: NOW + 1e12 }), 'ak')
  t.equal(outcome(signed(), { now: NOW - 15 * 60_000 }), 'ak')
  t.equal(outcome(signed(), { now: NOW - 16 * 60_000 }), '403 RequestTimeTooSkewed')
})

void t.test('a date must come with a signed header but not with a presigned URL', async t => {
  const dated = signed()
  const { 'x-bce-date': _, ...headers } = dated.headers
  t.equal(outcome({ ...dated, headers }), '400 MissingDateHeader')
  t.equal(outcome({ ...dated, headers: { ...headers, date: 'x' } }), 'ak')
  const { authorization = '', ...rest } = headers
  t.equal(outcome({ ...dated, headers: rest, query: [['Authorization', authorization]] }), 'ak')
})

void t.test('a temporary credential needs its token, and others must bring none', async t => {
  const sessionToken = 'token'
  const named = ['host', 'x-bce-security-token']
  const right = signed({ headers: { 'x-bce-security-token': 'token' } }, { names: named })
  const wrong = signed({ headers: { 'x-bce-security-token': 'other' } }, { names: named })
  t.equal(outcome(right, { sessionToken }), 'ak')
  t.equal(outcome(wrong, { sessionToken }), '400 InvalidSessionToken')
  t.equal(outcome(signed(), { sessionToken }), '400 InvalidSessionToken')
  t.equal(outcome(right), '400 InvalidSessionToken')
  const inQuery = signed({ query: [['x-bce-security-token', 'token']] })
  t.equal(outcome(inQuery, { sessionToken }), 'ak')
})

void t.test('header values are signed as the bytes that came', async t => {
  const latin1 = Buffer.from('caf\u00e9').toString('latin1')
  const names = ['host', 'x-bce-meta-a']
  const request = signed({ headers: { 'x-bce-meta-a': latin1 } }, { names })
  // As a client signs that sends UTF-8 and encodes it as UTF-8.
  const parts = { accessKeyId: 'ak', timestamp: '2023-11-14T22:13:20Z', expires: 1800 }
  const asText = { ...request, headers: { ...request.headers, 'x-bce-meta-a': 'caf%E9' } }
  t.not(
    sign(request, { ...parts, signedHeaders: names }, 'sk'),
    sign(asText, { ...parts, signedHeaders: names }, 'sk'),
  )
  t.equal(outcome(request), 'ak')
})
