/** Where options come from, which source wins, and what is said of mistakes. */
import { join } from 'node:path'
import { resolve as absolute } from 'node:path'
import t from 'tap'
import { ConfigError, OPTIONS, resolveConfig } from '../src/config.js'
import type { MountConfig, Sources } from '../src/config.js'
import { GiB, KiB, MiB } from '../src/util/units.js'

const SECRET = 'a-secret-that-must-not-be-seen'

function resolve(sources: Partial<Sources> = {}): MountConfig {
  return resolveConfig({ flags: {}, mountOptions: [], environment: {}, ...sources })
}

function file(content: unknown): Pick<Sources, 'file'> {
  return { file: { name: 'the.yml', content } }
}

function mistakes(sources: Partial<Sources>): readonly string[] {
  try {
    resolve(sources)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
}

void t.test('the cache has an eighth of the memory, within bounds', t => {
  const cacheOf = (memory: number) => resolve({ memory }).cacheMemory
  t.equal(cacheOf(2 * GiB), 256 * MiB)
  t.equal(cacheOf(256 * MiB), 64 * MiB)
  t.equal(cacheOf(64 * GiB), 512 * MiB)
  t.equal(resolve({ memory: 2 * GiB, flags: { 'cache-memory': '1g' } }).cacheMemory, GiB)
  t.end()
})

void t.test('without any source there are defaults', t => {
  t.match(resolve(), {
    bos: {},
    binding: 'fuse',
    allowOther: false,
    readOnly: false,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    fileMode: 0o644,
    directoryMode: 0o755,
    metadataTtl: 1000,
    cacheMemory: 256 * MiB,
    cacheDirectory: undefined,
    cacheSize: 10 * GiB,
    readAhead: 64 * MiB,
    writeMemory: 256 * MiB,
    logLevel: 'info',
    logFormat: 'auto',
    logFile: undefined,
    kernelOptions: [],
  })
  t.same(Object.keys(resolve().bos), [])
  t.end()
})

interface Precedence {
  readonly title: string
  readonly sources: Partial<Sources>
  readonly region: string
}

const FLAG = { flags: { region: 'flag' } }
const OPTION = { mountOptions: ['region=option'] }
const REGISTRY = { REGISTRY_STORAGE_BOS_REGION: 'registry' }
const FILE = file({ region: 'file' })

const PRECEDENCE: readonly Precedence[] = [
  {
    title: 'a flag is stronger than everything',
    sources: { ...FLAG, ...OPTION, environment: REGISTRY, ...FILE },
    region: 'flag',
  },
  {
    title: '-o is stronger than the environment',
    sources: { ...OPTION, environment: REGISTRY, ...FILE },
    region: 'option',
  },
  {
    title: 'the environment is stronger than a file',
    sources: { environment: REGISTRY, ...FILE },
    region: 'registry',
  },
  { title: 'a file is stronger than the default', sources: FILE, region: 'file' },
  {
    title: 'an empty variable is none',
    sources: { environment: { REGISTRY_STORAGE_BOS_REGION: '' }, ...FILE },
    region: 'file',
  },
  {
    title: 'of -o given twice the last counts',
    sources: { mountOptions: ['region=first', 'region=second,noexec'] },
    region: 'second',
  },
]

void t.test('the strongest source wins', t => {
  for (const { title, sources, region } of PRECEDENCE) {
    t.equal(resolve(sources).bos['region'], region, title)
  }
  t.end()
})

void t.test("the registry's own variables are stronger than Baidu's", t => {
  const environment = {
    REGISTRY_STORAGE_BOS_ACCESSKEYID: 'registry',
    BCE_ACCESS_KEY_ID: 'baidu',
    BCE_SECRET_ACCESS_KEY: 'baidu',
    BCE_SESSION_TOKEN: 'token',
    BOS_ENDPOINT: 'http://127.0.0.1:1',
  }
  t.match(resolve({ environment }).bos, {
    accesskeyid: 'registry',
    accesskeysecret: 'baidu',
    sessiontoken: 'token',
    endpoint: 'http://127.0.0.1:1',
  })
  t.end()
})

void t.test('options of the mount have variables of their own', t => {
  const environment = { BOSMOUNT_METADATA_TTL: '5m', BOSMOUNT_READ_ONLY: 'yes' }
  t.match(resolve({ environment }), { metadataTtl: 300_000, readOnly: true })
  t.end()
})

void t.test('the strongest source of credentials says of which kind they are', t => {
  const keys = { accesskeyid: 'id', accesskeysecret: SECRET, sessiontoken: 'token' }
  const fromFile = resolve({ ...file(keys), flags: { credentialsfile: '/credentials' } })
  t.same(fromFile.bos, { credentialsfile: '/credentials' })
  const fromKeys = resolve({
    ...file({ credentialscommand: 'print' }),
    environment: { BCE_ACCESS_KEY_ID: 'id', BCE_SECRET_ACCESS_KEY: SECRET },
  })
  t.same(fromKeys.bos, { accesskeyid: 'id', accesskeysecret: SECRET })
  t.same(resolve({ credentialsFile: '/common' }).bos, { credentialsfile: '/common' })
  t.same(resolve({ credentialsFile: '/common', ...file(keys) }).bos, keys)
  t.end()
})

const CONVERSIONS: readonly (readonly [string, unknown, keyof MountConfig, unknown])[] = [
  ['metadata-ttl', '0', 'metadataTtl', 0],
  ['metadata-ttl', 2, 'metadataTtl', 2000],
  ['metadata-ttl', '250ms', 'metadataTtl', 250],
  ['cache-dir', '/var/cache/x', 'cacheDirectory', '/var/cache/x'],
  ['cache-dir', 'x', 'cacheDirectory', absolute('x')],
  ['cache-size', '1g', 'cacheSize', GiB],
  ['cache-memory', '64m', 'cacheMemory', 64 * MiB],
  ['read-ahead', '512KiB', 'readAhead', 512 * KiB],
  ['write-memory', 1_048_576, 'writeMemory', MiB],
  ['file-mode', '0600', 'fileMode', 0o600],
  ['file-mode', '600', 'fileMode', 0o600],
  ['file-mode', '0o640', 'fileMode', 0o640],
  ['dir-mode', '2750', 'directoryMode', 0o2750],
  ['umask', '027', 'fileMode', 0o640],
  ['umask', '027', 'directoryMode', 0o750],
  ['fmask', '0177', 'fileMode', 0o600],
  ['fmask', '0177', 'directoryMode', 0o755],
  ['dmask', '077', 'directoryMode', 0o700],
  ['attributes', 'stored', 'attributes', 'stored'],
  ['uid', '1000', 'uid', 1000],
  ['gid', 0, 'gid', 0],
  ['uid', '4294967294', 'uid', 4_294_967_294],
  ['allow-other', 'on', 'allowOther', true],
  ['allow-other', 'False', 'allowOther', false],
  ['read-only', 1, 'readOnly', true],
  ['binding', 'fuse-native', 'binding', 'fuse-native'],
  ['log-level', 'debug', 'logLevel', 'debug'],
  ['log-format', 'json', 'logFormat', 'json'],
  ['log-file', '/var/log/x', 'logFile', '/var/log/x'],
  ['log-file', 'x', 'logFile', absolute('x')],
]

void t.test('values are read as their option says, from a file as from a flag', t => {
  for (const [name, value, key, expected] of CONVERSIONS) {
    const what = `${name} ${String(value)}`
    t.equal(resolve(file({ [name]: value }))[key], expected, what)
    t.equal(resolve(file({ [name.replaceAll('-', '_')]: value }))[key], expected, what)
    t.equal(resolve({ flags: { [name]: value } })[key], expected, what)
    t.equal(resolve({ mountOptions: [`${name}=${String(value)}`] })[key], expected, what)
  }
  t.end()
})

const REFUSED: readonly (readonly [string, unknown])[] = [
  ['metadata-ttl', 'soon'],
  ['metadata-ttl', '-1s'],
  ['metadata-ttl', '99999999999999999999s'],
  ['cache-memory', 'much'],
  ['file-mode', '0888'],
  ['attributes', 'kept'],
  ['file-mode', '77777'],
  ['uid', 'root'],
  ['uid', -1],
  ['uid', '4294967295'],
  ['gid', '9999999999'],
  ['allow-other', 'maybe'],
  ['binding', 'nfs'],
  ['log-level', 'loud'],
]

void t.test('what makes no sense is refused, with its source and what is needed', t => {
  for (const [name, value] of REFUSED) {
    const found = mistakes(file({ [name]: value }))
    t.equal(found.length, 1, `${name} ${String(value)}`)
    t.match(found[0], new RegExp(`^${name}: .* is needed, not .*\\(the\\.yml\\)$`))
  }
  const environment = { BOSMOUNT_UID: 'root' }
  t.match(mistakes({ environment }), [/environment BOSMOUNT_UID/])
  t.match(mistakes({ flags: { uid: 'root' } }), [/--uid/])
  t.match(mistakes({ mountOptions: ['uid=root'] }), [/-o uid/])
  t.end()
})

void t.test('all mistakes are told at once', t => {
  const found = mistakes({
    flags: { uid: 'root' },
    mountOptions: ['chunksiz=1', 'accesskeysecret=x'],
    environment: { BOSMOUNT_BINDING: 'nfs' },
    ...file({ metadata_ttl: 'soon', cachememory: '1g' }),
  })
  t.equal(found.length, 6)
  const message = new ConfigError(found).message
  t.equal(message.split('\n').length, 7, 'a line for each')
  t.end()
})

void t.test('unknown names get the nearest known one', t => {
  t.match(mistakes({ mountOptions: ['chunksiz=10m'] }), [/'chunksiz'; did you mean 'chunksize'\?/])
  t.match(mistakes({ mountOptions: ['allow_ohter'] }), [/did you mean 'allow-other'\?/])
  t.match(mistakes(file({ metadata_tll: '1s' })), [/the\.yml: .*did you mean 'metadata-ttl'\?/])
  t.same(mistakes({ mountOptions: ['xyzzy'] }), ["-o: unknown option 'xyzzy'"])
  t.end()
})

void t.test('mount options are those of fstab', t => {
  const config = resolve({
    mountOptions: [
      'rw,_netdev,nofail,noauto,defaults,user,x-systemd.automount,x-systemd.idle-timeout=60',
      'noexec,nosuid,,allow_other,default_permissions,metadata_ttl=5s',
      'endpoint=http://127.0.0.1:8010/?a=b',
    ],
  })
  t.match(config, { allowOther: true, readOnly: false, metadataTtl: 5000 })
  t.same(config.kernelOptions, ['noexec', 'nosuid'])
  t.same(config.bos, { endpoint: 'http://127.0.0.1:8010/?a=b' }, 'a value may hold an equals sign')
  t.ok(resolve({ mountOptions: ['ro'] }).readOnly)
  t.end()
})

void t.test('a secret is refused on the command line, and not repeated', t => {
  for (const option of OPTIONS.filter(({ secret }) => secret === true)) {
    const found = mistakes({ mountOptions: [`${option.name}=${SECRET}`] })
    t.match(found, [new RegExp(`^${option.name}: not taken from the command line`)])
    t.notOk(found.join().includes(SECRET))
    t.match(found.join(), /set the environment variable [A-Z_]+ or use --config/)
  }
  const typo = mistakes({ mountOptions: [`accesskeysecre=${SECRET}`] })
  t.equal(typo.length, 1)
  t.notOk(typo.join().includes(SECRET), 'nor is one under a mistyped name')
  t.end()
})

void t.test("a registry's own configuration is taken as it is", t => {
  const content = {
    version: 0.1,
    log: { level: 'debug' },
    storage: {
      bos: { accesskeyid: 'id', accesskeysecret: SECRET, bucket: 'b', chunksize: 10_485_760 },
      cache: { blobdescriptor: 'inmemory' },
      delete: { enabled: true },
    },
    http: { addr: ':5000' },
  }
  t.same(resolve(file(content)).bos, content.storage.bos)
  t.equal(resolve(file(content)).logLevel, 'info', 'and nothing else of it')
  t.match(mistakes(file({ storage: { filesystem: { rootdirectory: '/x' } } })), [
    /'storage' without 'bos'/,
  ])
  t.same(resolve(file({ storage: { bos: null } })).bos, {})
  t.end()
})

void t.test('a file of our own may have a section for BOS', t => {
  const config = resolve(
    file({ bos: { bucket: 'b', region: 'bj' }, 'metadata-ttl': '2s', uid: null }),
  )
  t.same(config.bos, { bucket: 'b', region: 'bj' })
  t.equal(config.metadataTtl, 2000)
  t.equal(config.uid, process.getuid?.(), 'null is nothing')
  t.end()
})

void t.test('a file that holds something else is refused', t => {
  for (const content of [undefined, null, 'text', 5, ['a']]) {
    t.match(mistakes(file(content)), [/the\.yml does not hold a map of options/])
  }
  for (const section of ['my-bucket', ['a'], 7]) {
    t.match(mistakes(file({ bos: section })), [/the\.yml: .*'bos'/], 'nor is such a section')
    t.match(mistakes(file({ storage: { bos: section } })), [/the\.yml: .*'bos'/])
  }
  t.end()
})

void t.test('every option has a variable, a help text and a default to show', t => {
  const names = new Set<string>()
  for (const { name, environment, help, fallback, aliases = [] } of OPTIONS) {
    t.ok(environment.length > 0 && help !== '' && fallback !== '', name)
    for (const each of [name, ...aliases]) {
      t.notOk(names.has(each), `${each} comes once`)
      names.add(each)
    }
  }
  t.end()
})

const ENVIRONMENT = { BCE_ACCESS_KEY_ID: 'env-id', BCE_SECRET_ACCESS_KEY: 'env-secret' }

function bosOf(sources: Partial<Sources>): Readonly<Record<string, unknown>> {
  return resolve(sources).bos
}

void t.test('the strongest source with credentials decides where they come from', async t => {
  const keys = { accesskeyid: 'env-id', accesskeysecret: 'env-secret' }
  const credentialsFile = '/home/me/.go-bcecli/credentials'
  const file = { name: 'f.yml', content: { credentialscommand: 'print' } }
  t.same(bosOf({ credentialsFile }), { credentialsfile: credentialsFile })
  t.same(bosOf({ credentialsFile, file }), { credentialscommand: 'print' })
  t.same(bosOf({ credentialsFile, file, environment: ENVIRONMENT }), keys)
  const mountOptions = ['credentials-file=/etc/c']
  const all = { credentialsFile, file, environment: ENVIRONMENT, mountOptions }
  t.same(bosOf(all), { credentialsfile: '/etc/c' })
})

void t.test('two ways in one source are left to the driver, which refuses them', async t => {
  const environment = { ...ENVIRONMENT, REGISTRY_STORAGE_BOS_CREDENTIALSFILE: '/c' }
  t.match(bosOf({ environment }), { accesskeyid: 'env-id', credentialsfile: '/c' })
})

void t.test('parameters of the S3 driver in a registry section reach the driver', async t => {
  const content = { storage: { bos: { bucket: 'b', v4auth: true }, delete: { enabled: true } } }
  t.same(bosOf({ file: { name: 'config.yml', content } }), { bucket: 'b', v4auth: true })
  const own = { name: 'f.yml', content: { v4auth: true } }
  t.match(mistakes({ file: own }), [/f.yml: unknown option 'v4auth'/])
})

void t.test('options have their names with underscores and their other names', async t => {
  t.match(bosOf({ mountOptions: ['ca_file=/ca.pem,skipverify'] }), {
    cafile: '/ca.pem',
    skipverify: true,
  })
})

void t.test('what may hold a secret is not taken from the command line', async t => {
  for (const option of ['accesskeysecret=x', 'sessiontoken=x', 'proxy=http://u:hidden@h']) {
    const [mistake = ''] = mistakes({ mountOptions: [option] })
    t.match(mistake, /not taken from the command line/)
    t.notMatch(mistake, /hidden/)
  }
})

void t.test('a relative staging directory means the one of whoever mounts', async t => {
  const { stagingDirectory } = resolve({ flags: { 'staging-dir': 'some/where' } })
  t.equal(stagingDirectory, join(process.cwd(), 'some/where'))
})
