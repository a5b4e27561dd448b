import Auth from '@baiducloud/sdk/src/auth.js'
import fc from 'fast-check'
import t from 'tap'
import { encodeKey, encodeQuery, Signer, timestamp } from '../../../src/driver/bos/sign.js'
import { Secret } from '../../../src/util/secret.js'

interface Vector {
  readonly keys: readonly [string, string]
  readonly time: number
  readonly request: readonly [string, string, Record<string, string>, Record<string, string>]
  readonly expected: string
}

/** From the SDK's own tests, and computed by two implementations. */
const VECTORS: readonly Vector[] = [
  {
    keys: ['my_ak', 'my_sk'],
    time: 1402639056,
    request: [
      'PUT',
      '/v1/bucket/object1',
      { A: '', b: '', C: 'd' },
      { Host: 'bce.baidu.com', abc: '123', 'x-bce-meta-key1': 'ABC' },
    ],
    expected:
      'bce-auth-v1/my_ak/2014-06-13T05:57:36Z/1800/host;x-bce-meta-key1/' +
      '80c9672aca2ea9af4bb40b9a8ff458d72df94e97d550840727f3a929af271d25',
  },
  {
    keys: ['my_ak', 'my_sk'],
    time: 1402639056,
    request: [
      'DELETE',
      '/v1/test-bucket1361199862',
      {},
      { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': '0' },
    ],
    expected:
      'bce-auth-v1/my_ak/2014-06-13T05:57:36Z/1800/content-length;content-type/' +
      'c9386b15d585960ae5e6972f73ed92a9a682dc81025480ba5b41206d3e489822',
  },
  {
    keys: ['a'.repeat(32), 'b'.repeat(32)],
    time: Date.parse('2015-04-27T08:23:49Z') / 1000,
    request: [
      'PUT',
      '/test/myfolder/readme.txt',
      { partNumber: '9', uploadId: 'a44cc9bab11cbd156984767aad637851' },
      {
        host: 'bj.bcebos.com',
        'content-length': '8',
        'content-md5': 'NFzcPqhviddjRNnSOGo4rw==',
        'content-type': 'text/plain',
        'x-bce-date': '2015-04-27T08:23:49Z',
      },
    ],
    expected:
      `bce-auth-v1/${'a'.repeat(32)}/2015-04-27T08:23:49Z/1800/` +
      'content-length;content-md5;content-type;host;x-bce-date/' +
      '1816c10fce34ba9c9825eddc05fd6058bf82e05fefeddee8da6f869486ea68c0',
  },
  {
    keys: ['ak', 'sk'],
    time: 1700000000,
    request: ['PUT', '/b/k', {}, { Host: 'h', 'x-bce-meta-a': '1', 'x-bce-meta-a-b': '2' }],
    expected:
      'bce-auth-v1/ak/2023-11-14T22:13:20Z/1800/host;x-bce-meta-a-b;x-bce-meta-a/' +
      '065a1af9ad2e3f82f678fc081a15cb5e003d1a050463d5919e1b91df29bcaf07',
  },
]

void t.test('signatures are those of the known vectors', async t => {
  const signer = new Signer()
  for (const { keys, time, request: given, expected } of VECTORS) {
    const [ak, sk] = keys
    const [method, path, params, headers] = given
    const credentials = { accessKeyId: ak, secretAccessKey: new Secret(sk) }
    const request = { method, path, params, headers, time: time * 1000 }
    t.equal(new Signer().authorization(credentials, request), expected)
    t.equal(signer.authorization(credentials, request), expected, 'whatever was signed before')
    t.equal(signer.authorization(credentials, request), expected, 'and again')
  }
})

void t.test('keys are encoded, never normalised', async t => {
  const table = [
    ['a/b', 'a/b'],
    ['a b', 'a%20b'],
    ["!'()*", '%21%27%28%29%2A'],
    ['a//b/../c/.', 'a//b/../c/.'],
    ['%2F?#+&=', '%252F%3F%23%2B%26%3D'],
    ['汉\u{1f600}', '%E6%B1%89%F0%9F%98%80'],
    ['-_.~', '-_.~'],
  ] as const
  for (const [key, expected] of table) t.equal(encodeKey(key), expected)
})

void t.test('queries are encoded, and names without a value stand alone', async t => {
  t.equal(encodeQuery({}), '')
  t.equal(
    encodeQuery({ uploads: '', prefix: 'a b/', 'x y': '1' }),
    '?uploads&prefix=a%20b%2F&x%20y=1',
  )
})

void t.test('a timestamp has whole seconds', async t => {
  t.equal(timestamp(1402639056789), '2014-06-13T05:57:36Z')
})

void t.test('one client signs for changing keys and times', async t => {
  const signer = new Signer()
  const sign = (secret: string, time: number, expires: number): string =>
    signer.authorization(
      { accessKeyId: 'ak', secretAccessKey: new Secret(secret) },
      { method: 'GET', path: '/b/k', params: {}, headers: { host: 'h' }, time, expires },
    )
  const seen = new Set<string>()
  for (let round = 0; round < 2; round++) {
    for (const secret of ['one', 'two']) {
      for (const time of [1_700_000_000_000, 1_700_000_001_000]) {
        for (const expires of [60_000, 1_800_000]) seen.add(sign(secret, time, expires))
      }
    }
  }
  t.equal(seen.size, 8, 'each has a signature of its own, and the same every time')
})

void t.test('what is signed is what the SDK signs', async () => {
  const name = fc.constantFrom(
    'host',
    'Content-Type',
    'x-bce-date',
    'x-bce-meta-a',
    'x-bce-meta-a-b',
  )
  const text = fc.string({ unit: 'binary' })
  const headers = fc.dictionary(fc.oneof(name, fc.constantFrom('range', 'user-agent')), text)
  const params = fc.dictionary(fc.constantFrom('prefix', 'marker', 'uploads', 'A'), text)
  const signer = new Signer()
  const credentials = { accessKeyId: 'ak', secretAccessKey: new Secret('sk') }
  fc.assert(
    fc.property(headers, params, fc.integer({ min: 1, max: 4e9 }), (headers, params, seconds) => {
      const request = { method: 'GET', path: '/b/k', params, headers, time: seconds * 1000 }
      const sdk = new Auth('ak', 'sk')
      const expected = sdk.generateAuthorization('GET', '/b/k', params, headers, seconds, 1800)
      return signer.authorization(credentials, request) === expected
    }),
  )
})
