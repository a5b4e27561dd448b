/**
 * The one table of options, and how the sources of their values add up: command line, then
 * environment, then a YAML file, then defaults.
 *
 * The names in group BOS are the storage driver's own parameters; they are collected here and checked
 * by the driver (driver/parameters.ts). Everything else is checked here. All mistakes are reported at
 * once, each with its source.
 *
 * A secret is never taken from the command line, where every user of the machine can read it.
 */
import { nearest } from './util/nearest.js'
import { GiB, MiB, parseBytes, parseDuration } from './util/units.js'
import type { Bytes, Milliseconds } from './util/units.js'

export type OptionType = 'text' | 'bytes' | 'duration' | 'boolean' | 'octal' | 'integer'

export interface Option {
  /** As a flag; with underscores for hyphens it is the `-o` and YAML name. */
  readonly name: string
  readonly type: OptionType
  readonly group: 'BOS' | 'Mount' | 'Cache' | 'Logging'
  /** What is shown as the default. */
  readonly fallback: string
  readonly help: string
  /** Environment variables, strongest first. */
  readonly environment: readonly string[]
  readonly secret?: boolean
  readonly choices?: readonly string[]
  /** Further names as a flag. */
  readonly aliases?: readonly string[]
}

function bos(
  name: string,
  rest: Omit<Option, 'name' | 'group' | 'environment'>,
  more: string[] = [],
) {
  const environment = [`REGISTRY_STORAGE_BOS_${name.toUpperCase()}`, ...more]
  return { name, group: 'BOS' as const, environment, ...rest }
}

function own(name: string, rest: Omit<Option, 'name' | 'environment'>): Option {
  return { name, environment: [`BOSMOUNT_${name.toUpperCase().replaceAll('-', '_')}`], ...rest }
}

export const OPTIONS: readonly Option[] = [
  bos('accesskeyid', { type: 'text', fallback: '(required)', help: 'access key id' }, [
    'BCE_ACCESS_KEY_ID',
  ]),
  bos(
    'accesskeysecret',
    { type: 'text', fallback: '(required)', help: 'access key secret', secret: true },
    ['BCE_SECRET_ACCESS_KEY'],
  ),
  bos(
    'sessiontoken',
    { type: 'text', fallback: 'none', help: 'token of temporary (STS) credentials', secret: true },
    ['BCE_SESSION_TOKEN'],
  ),
  bos('credentialsfile', {
    type: 'text',
    fallback: '~/.go-bcecli/credentials if there are no others',
    help: "file of Baidu's CLI or of bosfs2 with credentials; read again when it changes",
    aliases: ['credentials-file'],
  }),
  bos('credentialscommand', {
    type: 'text',
    fallback: 'none',
    help: 'command that prints credentials as JSON; run again before they expire',
    aliases: ['credentials-command'],
  }),
  bos('region', { type: 'text', fallback: '(required)', help: 'region, selects the endpoint' }),
  bos('bucket', { type: 'text', fallback: '(required)', help: 'bucket; must exist' }),
  bos(
    'endpoint',
    { type: 'text', fallback: '<region>.bcebos.com', help: 'host, host:port or URL' },
    ['BOS_ENDPOINT'],
  ),
  bos('addressing', {
    type: 'text',
    fallback: 'auto',
    choices: ['auto', 'virtual', 'path', 'cname'],
    help:
      'where the bucket is named: in the host (virtual), in the path, or nowhere because the ' +
      "endpoint is the bucket's own host (cname); auto: virtual at bcebos.com, path elsewhere",
  }),
  bos('redirectendpoint', {
    type: 'text',
    fallback: 'the endpoint',
    help: 'endpoint in presigned URLs, for clients that reach BOS by another name',
  }),
  bos('secure', { type: 'boolean', fallback: 'true', help: 'HTTPS, certificates verified' }),
  bos('cafile', {
    type: 'text',
    fallback: 'the built-in authorities',
    help: 'PEM file of the certificate authorities to trust instead of the built-in ones',
    aliases: ['ca-file'],
  }),
  bos('skipverify', {
    type: 'boolean',
    fallback: 'false',
    help: 'take any certificate: whoever is on the way can read and change everything',
  }),
  bos('proxy', {
    type: 'text',
    fallback: 'HTTPS_PROXY, unless NO_PROXY lists the endpoint',
    help: 'HTTP proxy to reach BOS through, as a URL; may hold a password',
    secret: true,
  }),
  bos('chunksize', {
    type: 'bytes',
    fallback: '10 MiB',
    help: 'multipart part size, 5 MiB or more',
  }),
  bos('rootdirectory', {
    type: 'text',
    fallback: '(the bucket root)',
    help: 'key prefix that holds everything',
  }),
  bos('storageclass', {
    type: 'text',
    fallback: "the bucket's",
    choices: [
      'STANDARD',
      'STANDARD_IA',
      'COLD',
      'MAZ_STANDARD',
      'MAZ_STANDARD_IA',
      'MAZ_COLD',
      'NONE',
    ],
    help: "storage class of new files; NONE is the bucket's",
  }),
  bos('encrypt', {
    type: 'text',
    fallback: 'false',
    choices: ['true', 'false', 'AES256', 'SM4'],
    help: 'encryption at rest by BOS; true is AES256',
  }),
  bos('objectacl', {
    type: 'text',
    fallback: "the bucket's",
    choices: ['private', 'public-read', 'public-read-write'],
    help: 'who may use new objects directly',
  }),
  bos('useragent', { type: 'text', fallback: 'bosmount', help: 'User-Agent of every request' }),
  bos('maxthreads', { type: 'integer', fallback: '32', help: 'most requests to BOS at once' }),
  bos('connecttimeout', {
    type: 'duration',
    fallback: '10s',
    help: 'longest wait for a connection',
    aliases: ['connect-timeout'],
  }),
  bos('requesttimeout', {
    type: 'duration',
    fallback: '60s',
    help: 'longest time for one attempt of a request; bytes to be moved get time of their own',
    aliases: ['request-timeout'],
  }),
  bos('totaltimeout', {
    type: 'duration',
    fallback: '2m',
    help: 'longest time for all attempts of a request and the pauses between; then it is an error',
    aliases: ['total-timeout'],
  }),
  bos('maxretries', {
    type: 'integer',
    fallback: '5',
    help: 'further attempts after the first',
    aliases: ['max-retries'],
  }),
  bos('multipartcopychunksize', {
    type: 'bytes',
    fallback: '128 MiB',
    help: 'part size of a copy in parts, 5 MiB or more',
  }),
  bos('multipartcopymaxconcurrency', {
    type: 'integer',
    fallback: '16',
    help: 'parts, or objects of a directory, that are copied at once',
  }),
  bos('multipartcopythresholdsize', {
    type: 'bytes',
    fallback: '512 MiB',
    help: 'larger objects are copied in parts',
  }),
  own('binding', {
    type: 'text',
    group: 'Mount',
    fallback: 'fuse',
    choices: ['fuse', 'fuse-native'],
    help: 'how to speak FUSE',
  }),
  own('allow-other', {
    type: 'boolean',
    group: 'Mount',
    fallback: 'false',
    help: 'users other than the mounter may use the mount',
  }),
  own('read-only', {
    type: 'boolean',
    group: 'Mount',
    fallback: 'false',
    help: 'refuse every change',
  }),
  own('uid', {
    type: 'integer',
    group: 'Mount',
    fallback: 'the mounter',
    help: 'owner of what the bucket holds',
  }),
  own('gid', {
    type: 'integer',
    group: 'Mount',
    fallback: 'the mounter',
    help: 'group of what the bucket holds',
  }),
  own('file-mode', { type: 'octal', group: 'Mount', fallback: '0644', help: 'mode of files' }),
  own('dir-mode', { type: 'octal', group: 'Mount', fallback: '0755', help: 'mode of directories' }),
  own('metadata-ttl', {
    type: 'duration',
    group: 'Cache',
    fallback: '1s',
    help: 'how long names and attributes are believed; 0 asks each time',
  }),
  own('cache-memory', {
    type: 'bytes',
    group: 'Cache',
    fallback: '256 MiB',
    help: 'memory for blocks of files that were read',
  }),
  own('read-ahead', {
    type: 'bytes',
    group: 'Cache',
    fallback: '16 MiB',
    help: 'most bytes fetched ahead of a sequential reader',
  }),
  own('write-memory', {
    type: 'bytes',
    group: 'Cache',
    fallback: '256 MiB',
    help: 'memory for bytes that BOS does not have yet',
  }),
  own('log-level', {
    type: 'text',
    group: 'Logging',
    fallback: 'info',
    choices: ['debug', 'info', 'warn', 'error'],
    help: 'least level that is logged',
  }),
  own('log-file', {
    type: 'text',
    group: 'Logging',
    fallback: 'standard error, or a file of its own for a daemon',
    help: 'where the log goes',
  }),
]

/** Mount options that mean something to mount(8), systemd or the kernel, by what becomes of them. */
const KERNEL_OPTIONS = ['noexec', 'nosuid', 'nodev', 'exec', 'suid', 'dev', 'noatime', 'atime']
const IGNORED_OPTIONS = ['_netdev', 'nofail', 'auto', 'noauto', 'defaults', 'user', 'users', 'rw']

/** The largest uid or gid: the next number, (uid_t)-1, means none (chown(2)). */
const MAX_ID = 2 ** 32 - 2

export interface Sources {
  /** Flag values by option name. */
  readonly flags: Readonly<Record<string, unknown>>
  /** The text of each `-o`. */
  readonly mountOptions: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What the configuration file holds, and its name. */
  readonly file?: { readonly name: string; readonly content: unknown }
  /** A file of credentials to use if no source has any. */
  readonly credentialsFile?: string
}

export interface MountConfig {
  /** Parameters of the BOS driver that were given anywhere, not yet checked. */
  readonly bos: Readonly<Record<string, unknown>>
  readonly binding: 'fuse' | 'fuse-native'
  readonly allowOther: boolean
  readonly readOnly: boolean
  readonly uid: number
  readonly gid: number
  readonly fileMode: number
  readonly directoryMode: number
  readonly metadataTtl: Milliseconds
  readonly cacheMemory: Bytes
  readonly readAhead: Bytes
  readonly writeMemory: Bytes
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly logFile: string | undefined
  /** Options for the kernel as they were given. */
  readonly kernelOptions: readonly string[]
}

/** The configuration is wrong; the message has one line per mistake. */
export class ConfigError extends Error {
  readonly code = 'CONFIG'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(`invalid configuration:\n${mistakes.map(mistake => `  ${mistake}`).join('\n')}`)
    this.name = 'ConfigError'
    this.mistakes = mistakes
  }
}

interface Given {
  readonly value: unknown
  /** Where it was given, for messages. */
  readonly source: string
}

/** @throws ConfigError with all mistakes */
export function resolveConfig(sources: Sources): MountConfig {
  const mistakes: string[] = []
  const parsed = parseMountOptions(sources.mountOptions, mistakes)
  const file = fromFile(sources.file, mistakes)
  const layers = [
    fromFlags(sources.flags),
    parsed.given,
    fromEnvironment(sources.environment),
    file.given,
  ]
  const given = (name: string): Given | undefined => {
    for (const layer of layers) {
      const found = layer.get(name)
      if (found !== undefined) return found
    }
    return undefined
  }
  const read = <T>(name: string, fallback: T): T => {
    const found = given(name)
    const option = OPTIONS.find(candidate => candidate.name === name)
    if (found === undefined || option === undefined) return fallback
    const value = convert(option, found.value)
    if (value !== undefined) return value as T
    mistakes.push(
      `${name}: ${describe(option)} is needed, not ${show(found.value)} (${found.source})`,
    )
    return fallback
  }
  const bosGiven: Record<string, unknown> = { ...file.foreign }
  for (const { name, group } of OPTIONS) {
    const found = group === 'BOS' ? given(name) : undefined
    if (found !== undefined) bosGiven[name] = found.value
  }
  for (const name of weakerCredentials(layers)) delete bosGiven[name]
  const hasCredentials = CREDENTIALS.flat().some(name => bosGiven[name] !== undefined)
  if (!hasCredentials && sources.credentialsFile !== undefined) {
    bosGiven['credentialsfile'] = sources.credentialsFile
  }
  const config: MountConfig = {
    bos: bosGiven,
    binding: read('binding', 'fuse'),
    allowOther: read('allow-other', false),
    readOnly: read('read-only', false),
    uid: read('uid', process.getuid?.() ?? 0),
    gid: read('gid', process.getgid?.() ?? 0),
    fileMode: read('file-mode', 0o644),
    directoryMode: read('dir-mode', 0o755),
    metadataTtl: read('metadata-ttl', 1000),
    cacheMemory: read('cache-memory', GiB / 4),
    readAhead: read('read-ahead', 16 * MiB),
    writeMemory: read('write-memory', GiB / 4),
    logLevel: read('log-level', 'info'),
    logFile: read<string | undefined>('log-file', undefined),
    kernelOptions: parsed.kernel,
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return config
}

type Layer = ReadonlyMap<string, Given>

/** What one source says. */
interface Said {
  readonly given: Layer
  /** What only the driver can tell whether it is a parameter, such as those of the S3 driver. */
  readonly foreign: Readonly<Record<string, unknown>>
}

/** The ways to give credentials: the strongest source that has one of them decides which. */
const CREDENTIALS = [
  ['accesskeyid', 'accesskeysecret', 'sessiontoken'],
  ['credentialsfile'],
  ['credentialscommand'],
] as const

/** Options that a stronger source has replaced by credentials of another kind. */
function weakerCredentials(layers: readonly Layer[]): readonly string[] {
  const strongest = layers.find(layer => CREDENTIALS.flat().some(name => layer.has(name)))
  if (strongest === undefined) return []
  return CREDENTIALS.filter(names => !names.some(name => strongest.has(name))).flat()
}

function fromFlags(flags: Readonly<Record<string, unknown>>): Layer {
  const layer = new Map<string, Given>()
  for (const { name } of OPTIONS) {
    const value = flags[name]
    if (value !== undefined) layer.set(name, { value, source: `--${name}` })
  }
  return layer
}

function fromEnvironment(environment: Sources['environment']): Layer {
  const layer = new Map<string, Given>()
  for (const option of OPTIONS) {
    for (const variable of option.environment) {
      const value = environment[variable]
      if (value === undefined || value === '' || layer.has(option.name)) continue
      layer.set(option.name, { value, source: `environment ${variable}` })
    }
  }
  return layer
}

function fromFile(file: Sources['file'], mistakes: string[]): Said {
  const layer = new Map<string, Given>()
  const foreign: Record<string, unknown> = {}
  const said: Said = { given: layer, foreign }
  if (file === undefined) return said
  const content = asRecord(file.content)
  if (content === undefined) {
    mistakes.push(`${file.name} does not hold a map of options`)
    return said
  }
  // A registry's own config.yml, as it is, or a file of our own with an optional section `bos`.
  const storage = asRecord(content['storage'])
  const isRegistry = storage !== undefined
  const bosSection: unknown = isRegistry ? storage['bos'] : content['bos']
  const section = asRecord(bosSection) ?? {}
  if (bosSection !== undefined && bosSection !== null && asRecord(bosSection) === undefined) {
    mistakes.push(`${file.name}: the section 'bos' is not a map of options`)
  }
  if (isRegistry && storage['bos'] === undefined) {
    mistakes.push(`${file.name} has a section 'storage' without 'bos'`)
  }
  const { bos: _section, ...rest } = content
  const own = Object.entries(isRegistry ? {} : rest)
  for (const [key, value] of [...own, ...Object.entries(section)]) {
    const option = find(key)
    if (option !== undefined) {
      if (value !== null) layer.set(option.name, { value, source: file.name })
    } else if (Object.hasOwn(section, key)) foreign[key] = value
    else mistakes.push(`${file.name}: ${unknown(key)}`)
  }
  return said
}

function parseMountOptions(
  texts: readonly string[],
  mistakes: string[],
): { readonly given: Layer; readonly kernel: readonly string[] } {
  const given = new Map<string, Given>()
  const kernel: string[] = []
  for (const text of texts.flatMap(each => each.split(',')).filter(each => each !== '')) {
    const [key = '', ...rest] = text.split('=')
    const value = rest.length === 0 ? true : rest.join('=')
    const option = find(key)
    if (key === 'ro') given.set('read-only', { value: true, source: '-o ro' })
    else if (key.startsWith('x-') || IGNORED_OPTIONS.includes(key)) continue
    else if (key === 'default_permissions') continue
    else if (KERNEL_OPTIONS.includes(key)) kernel.push(text)
    else if (option === undefined) mistakes.push(`-o: ${unknown(key)}`)
    else if (option.secret === true) mistakes.push(refuseSecret(option))
    else given.set(option.name, { value, source: `-o ${key}` })
  }
  return { given, kernel }
}

/** Why a secret was not taken from the command line, and where to put it. */
export function refuseSecret(option: Option): string {
  const variable = option.environment.at(-1) ?? ''
  return (
    `${option.name}: not taken from the command line, where everybody can read it; ` +
    `set the environment variable ${variable} or use --config FILE`
  )
}

function find(key: string): Option | undefined {
  const name = key.replaceAll('_', '-')
  return OPTIONS.find(option => option.name === name || option.aliases?.includes(name) === true)
}

function unknown(key: string): string {
  const near = nearest(
    key.replaceAll('_', '-'),
    OPTIONS.map(option => option.name),
  )
  return `unknown option '${key}'` + (near === undefined ? '' : `; did you mean '${near}'?`)
}

function convert(option: Option, value: unknown): unknown {
  const text = String(value).trim()
  switch (option.type) {
    case 'text':
      return option.choices === undefined || option.choices.includes(text) ? text : undefined
    case 'bytes':
      return parseBytes(text)
    case 'duration':
      return parseDuration(text)
    case 'boolean':
      if (/^(true|yes|on|1)$/i.test(text)) return true
      return /^(false|no|off|0)$/i.test(text) ? false : undefined
    case 'octal':
      return /^0?o?[0-7]{1,4}$/.test(text)
        ? Number.parseInt(text.replace(/^0?o/, ''), 8)
        : undefined
    case 'integer':
      return /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined
    default:
      return undefined
  }
}

function describe({ type, choices }: Option): string {
  if (choices !== undefined) return `one of ${choices.join(', ')}`
  const descriptions: Readonly<Record<OptionType, string>> = {
    text: 'a text',
    bytes: 'a size such as 64m or 1GiB',
    duration: 'a time such as 500ms, 1s or 5m',
    boolean: 'true or false',
    octal: 'an octal mode such as 0644',
    integer: 'a whole number',
  }
  return descriptions[type]
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as Record<string, unknown>
}
