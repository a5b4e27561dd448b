import { inspect } from 'node:util'
import t from 'tap'
import {
  addressing,
  PARAMETER_NAMES,
  ParameterError,
  parseBosParameters,
  REGION_ENDPOINTS,
} from '../../src/driver/parameters.js'
import { S3_ONLY_PARAMETERS } from '../../src/driver/s3-parameters.js'

const REQUIRED = {
  accesskeyid: 'ak',
  accesskeysecret: 'verysecret',
  region: 'bj',
  bucket: 'my-bucket',
}

function mistakesOf(input: Readonly<Record<string, unknown>>): readonly string[] {
  try {
    parseBosParameters(input)
  } catch (error) {
    if (error instanceof ParameterError) return error.mistakes
    throw error
  }
  return []
}

void t.test('what is not given has its default', async t => {
  t.match(parseBosParameters(REQUIRED), {
    accesskeyid: 'ak',
    region: 'bj',
    bucket: 'my-bucket',
    endpoint: 'https://bj.bcebos.com',
    secure: true,
    chunksize: 10485760,
    rootdirectory: '',
    sessiontoken: undefined,
  })
})

void t.test('each region has its endpoint', async t => {
  for (const [region, host] of Object.entries(REGION_ENDPOINTS)) {
    t.equal(parseBosParameters({ ...REQUIRED, region }).endpoint, `https://${host}`)
  }
})

void t.test('texts and YAML values mean the same', async t => {
  const texts = parseBosParameters({
    ...REQUIRED,
    secure: 'false',
    chunksize: '20m',
    rootdirectory: '/a/b/',
    endpoint: ' 127.0.0.1:8010 ',
  })
  const values = parseBosParameters({
    ...REQUIRED,
    secure: false,
    chunksize: 20 * 1024 * 1024,
    rootdirectory: 'a/b',
    endpoint: '127.0.0.1:8010',
  })
  t.same(texts, values)
  t.match(texts, { endpoint: 'http://127.0.0.1:8010', rootdirectory: 'a/b', chunksize: 20971520 })
  t.equal(parseBosParameters({ ...REQUIRED, chunksize: '10MB' }).chunksize, 10485760)
  t.equal(parseBosParameters({ ...REQUIRED, chunksize: '5242880' }).chunksize, 5242880)
  t.equal(parseBosParameters({ ...REQUIRED, endpoint: '' }).endpoint, 'https://bj.bcebos.com')
})

const ENDPOINTS: readonly (readonly [Record<string, unknown>, string])[] = [
  [{ endpoint: 'http://localhost:8010' }, 'http://localhost:8010'],
  [{ endpoint: 'https://bos.example.com/', secure: true }, 'https://bos.example.com'],
  [{ endpoint: 'su.bcebos.com' }, 'https://su.bcebos.com'],
  [{ endpoint: 'su.bcebos.com', secure: 'no' }, 'http://su.bcebos.com'],
  [{ endpoint: 'my-bucket.gz.bcebos.com' }, 'https://gz.bcebos.com'],
  [{ endpoint: 'HTTP://[::1]:80' }, 'http://[::1]'],
  [{ endpoint: 'https://gz.bcebos.com:443' }, 'https://gz.bcebos.com'],
]

void t.test('the scheme of an endpoint decides', async t => {
  for (const [input, expected] of ENDPOINTS) {
    t.equal(parseBosParameters({ ...REQUIRED, ...input }).endpoint, expected)
  }
  t.match(parseBosParameters({ ...REQUIRED, endpoint: 'http://h' }), { secure: false })
  t.match(parseBosParameters({ ...REQUIRED, endpoint: 'https://h' }), { secure: true })
})

void t.test('times have units, seconds if none is given', async t => {
  const times = (input: Readonly<Record<string, unknown>>): unknown => {
    const parameters = parseBosParameters({ ...REQUIRED, ...input })
    return [parameters.connecttimeout, parameters.requesttimeout, parameters.totaltimeout]
  }
  t.same(times({}), [10_000, 60_000, 120_000])
  t.same(
    times({ connecttimeout: 5, requesttimeout: '1500ms', totaltimeout: '1h' }),
    [5000, 1500, 3_600_000],
  )
  t.same(times({ requesttimeout: '5m' }), [10_000, 300_000, 300_000], 'one attempt can be made')
})

void t.test('what the S3 driver knows means the same here', async t => {
  const parameters = parseBosParameters({
    ...REQUIRED,
    storageclass: 'standard_ia',
    encrypt: true,
    objectacl: 'public-read',
    maxthreads: '64',
    multipartcopychunksize: '32m',
    multipartcopymaxconcurrency: 100,
    multipartcopythresholdsize: 32 * 1024 * 1024,
    redirectendpoint: 'my-bucket.su.bcebos.com',
  })
  t.match(parameters, {
    storageclass: 'STANDARD_IA',
    encrypt: 'AES256',
    objectacl: 'public-read',
    maxthreads: 64,
    multipartcopychunksize: 33554432,
    multipartcopymaxconcurrency: 100,
    multipartcopythresholdsize: 33554432,
    redirectendpoint: 'https://su.bcebos.com',
  })
  const none = parseBosParameters({ ...REQUIRED, storageclass: 'NONE', encrypt: 'false' })
  t.match(none, { storageclass: undefined, encrypt: undefined })
})

void t.test('every parameter of the S3 driver is a parameter here or answered', async t => {
  const names = [
    'accesskey secretkey region regionendpoint redirectendpoint forcepathstyle bucket encrypt keyid',
    'secure skipverify v4auth chunksize multipartcopychunksize multipartcopymaxconcurrency',
    'multipartcopythresholdsize rootdirectory storageclass useragent usedualstack accelerate',
    'usefipsendpoint objectacl loglevel maxthreads',
  ]
  const known = new Set<string>([...PARAMETER_NAMES, ...Object.keys(S3_ONLY_PARAMETERS)])
  for (const name of names.join(' ').split(' ')) t.ok(known.has(name), name)
})

void t.test('an endpoint makes the region free', async t => {
  const { region: _region, ...rest } = REQUIRED
  t.match(parseBosParameters({ ...rest, endpoint: 'http://h' }), { region: 'bj' })
  t.match(parseBosParameters({ ...REQUIRED, region: 'mine', endpoint: 'h' }), { region: 'mine' })
})

const MISTAKES: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{ accesskeyid: undefined }, /accesskeyid is missing/],
  [{ accesskeysecret: '' }, /accesskeysecret is missing/],
  [{ accesskeyid: 'a/b' }, /slash/],
  [{ accesskeysecret: 12345 }, /accesskeysecret must be text: put it in quotes/],
  [{ region: undefined }, /region is missing: set it to one of bj, bd/],
  [{ region: 'bjj' }, /"bjj" is not known \(did you mean bj\?\): set it to one of bj, bd, su/],
  [{ region: 'europe' }, /"europe" is not known: set it to one of/],
  [{ bucket: undefined }, /bucket is missing/],
  [{ bucket: 'My_Bucket' }, /"My_Bucket" is no bucket name/],
  [{ bucket: 'ab' }, /no bucket name/],
  [{ bucket: '-abc' }, /no bucket name/],
  [{ bucket: 'a'.repeat(64) }, /no bucket name/],
  [{ endpoint: 'http://h', secure: true }, /endpoint says http but secure is true/],
  [{ endpoint: 'https://h', secure: 'false' }, /endpoint says https but secure is false/],
  [{ endpoint: 'http://h/path' }, /without path/],
  [{ endpoint: 'ftp://h' }, /endpoint must be/],
  [{ endpoint: 'http://user@h' }, /endpoint must be/],
  [{ endpoint: 'h:port' }, /endpoint must be/],
  [{ secure: 'perhaps' }, /secure must be true or false/],
  [{ chunksize: 5242879 }, /chunksize 5242879 is too small: set it to at least 5242880 \(5 MB\)/],
  [{ chunksize: '1m' }, /too small/],
  [{ chunksize: 0 }, /too small/],
  [{ chunksize: '6g' }, /too large/],
  [{ chunksize: 'big' }, /chunksize must be a size/],
  [{ chunksize: -1 }, /chunksize must be a size/],
  [{ chunksize: 5242880.5 }, /chunksize must be a size/],
  [{ rootdirectory: 'a//b' }, /empty component/],
  [{ rootdirectory: '//a' }, /empty component/],
  [{ rootdirectory: 'a/../b' }, /'\.\.'/],
  [{ rootdirectory: 'a\0' }, /NUL/],
  [{ rootdirectory: 'x/'.repeat(300) }, /longer than 512/],
  [{ credentialsfile: '/f' }, /given twice, by credentialsfile and accesskeyid: leave one/],
  [{ credentialscommand: 'c' }, /given twice, by credentialscommand and accesskeyid/],
  [{ addressing: 'dns' }, /addressing must be one of auto, virtual, path, cname/],
  [{ addressing: 'virtual', endpoint: '127.0.0.1:80' }, /an address cannot name the bucket/],
  [{ addressing: 'cname' }, /addressing cname needs endpoint/],
  [{ redirectendpoint: 'http://h/path' }, /redirectendpoint must be a host/],
  [{ cafile: '/ca', skipverify: true }, /leave one/],
  [{ cafile: '/ca', secure: false }, /cafile is for HTTPS/],
  [{ skipverify: 'maybe' }, /skipverify must be true or false/],
  [{ proxy: 'socks5://verysecret@h' }, /proxy must be a URL such as/],
  [{ storageclass: 'GLACIER' }, /storageclass must be one of STANDARD, STANDARD_IA/],
  [{ storageclass: 'archive' }, /ARCHIVE cannot be used/],
  [{ encrypt: 'aws:kms' }, /encrypt must be one of AES256, SM4/],
  [{ objectacl: 'everyone' }, /objectacl must be one of private/],
  [{ useragent: 'a\nb' }, /useragent must be printable ASCII/],
  [{ maxthreads: 0 }, /maxthreads must be a whole number from 1 to 1024/],
  [{ maxthreads: 'many' }, /maxthreads must be a whole number/],
  [{ connecttimeout: 'soon' }, /connecttimeout must be a time such as 500ms, 10s or 2m/],
  [{ requesttimeout: 0 }, /requesttimeout must be a time .* of at least 100 ms/],
  [{ totaltimeout: '5s' }, /make totaltimeout the longer one/],
  [{ maxretries: -1 }, /maxretries must be a whole number from 0 to 100/],
  [{ multipartcopychunksize: '1m' }, /multipartcopychunksize 1048576 is too small/],
  [{ multipartcopymaxconcurrency: 0 }, /multipartcopymaxconcurrency must be/],
  [{ multipartcopythresholdsize: '6g' }, /multipartcopythresholdsize .* is too large/],
  [{ v4auth: true }, /parameter v4auth of the S3 driver: .* bce-auth-v1/],
  [{ forcepathstyle: true }, /set addressing to path/],
  [{ bukcet: 'x' }, /parameter "bukcet" is not known: did you mean bucket\?/],
  [{ accessKeySecret: 'x' }, /did you mean accesskeysecret\?/],
  [{ colour: 'x' }, /"colour" is not known: known are accesskeyid/],
]

void t.test('each mistake is told with what to do', async t => {
  for (const [input, expected] of MISTAKES) {
    const mistakes = mistakesOf({ ...REQUIRED, ...input })
    t.equal(mistakes.length, 1, JSON.stringify(input))
    t.match(mistakes[0], expected)
  }
})

void t.test('all mistakes are told at once, one line each', async t => {
  const mistakes = mistakesOf({ region: 'x', chunksize: 1, rootdirectory: '..', colour: 1 })
  t.equal(mistakes.length, 7)
  const error = new ParameterError(mistakes)
  t.equal(error.message.split('\n').length, 8)
})

void t.test('no secret shows in parameters or in errors', async t => {
  const input = { ...REQUIRED, accesskeysecret: 'verysecret', sessiontoken: 'tokensecret' }
  const parameters = parseBosParameters(input)
  t.equal(parameters.accesskeysecret?.reveal(), 'verysecret')
  t.equal(parameters.sessiontoken?.reveal(), 'tokensecret')
  const views = [JSON.stringify(parameters), inspect(parameters, { showHidden: true, depth: 9 })]
  for (const bad of [{ bucket: 'B' }, { accesskeysecrte: 'verysecret' }, { endpoint: ':' }]) {
    try {
      parseBosParameters({ ...input, ...bad })
      t.fail('it should have thrown')
    } catch (error) {
      views.push(inspect(error, { showHidden: true, depth: 9 }))
    }
  }
  for (const view of views) t.notMatch(view, /verysecret|tokensecret/)
})

void t.test('buckets are in the host at bcebos.com and in the path elsewhere', async t => {
  const at = (endpoint: string): unknown =>
    addressing(parseBosParameters({ ...REQUIRED, endpoint }))
  t.same(at('bj.bcebos.com'), { origin: 'https://my-bucket.bj.bcebos.com', pathPrefix: '' })
  for (const origin of [
    'http://127.0.0.1:80',
    'http://localhost:8010',
    'https://bos.example.com',
  ]) {
    t.same(at(origin), { origin: new URL(origin).origin, pathPrefix: '/my-bucket' })
  }
  t.same(at('https://evilbcebos.com'), {
    origin: 'https://evilbcebos.com',
    pathPrefix: '/my-bucket',
  })
})
