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
import { resolve } from 'node:path'
import { bos, ConfigError, convert, describe, own } from './config/option.js'
import type { Option } from './config/option.js'
import { gather } from './config/sources.js'
import type { Given, Layer, Sources } from './config/sources.js'
import { GiB, MiB } from './util/units.js'
import type { Bytes, Milliseconds } from './util/units.js'

export { ConfigError, refuseSecret } from './config/option.js'
export type { Option, OptionType } from './config/option.js'
export type { Given, Sources } from './config/sources.js'

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
  own('attributes', {
    type: 'text',
    group: 'Mount',
    fallback: 'derived',
    choices: ['derived', 'stored'],
    help:
      'mode, owner, time, extended attributes and links: derived from the options below, or ' +
      'stored with each object',
  }),
  own('umask', {
    type: 'octal',
    group: 'Mount',
    fallback: '(none)',
    help: 'permissions to take from 0666 of files and 0777 of directories',
  }),
  own('fmask', { type: 'octal', group: 'Mount', fallback: 'umask', help: 'umask of files alone' }),
  own('dmask', {
    type: 'octal',
    group: 'Mount',
    fallback: 'umask',
    help: 'umask of directories alone',
  }),
  own('file-mode', {
    type: 'octal',
    group: 'Mount',
    fallback: '0644, or by fmask',
    help: 'mode of files',
  }),
  own('dir-mode', {
    type: 'octal',
    group: 'Mount',
    fallback: '0755, or by dmask',
    help: 'mode of directories',
  }),
  own('exclusive-create', {
    type: 'text',
    group: 'Mount',
    fallback: 'close',
    choices: ['close', 'open'],
    help: 'when two hosts that create one file with O_EXCL learn who was first: open costs a request more',
  }),
  own('durability', {
    type: 'text',
    group: 'Mount',
    fallback: 'bos',
    choices: ['bos', 'journal'],
    help:
      'what close and fsync wait for: until BOS has the file, or until it is safe in a journal on ' +
      'the local disk and is uploaded later',
  }),
  own('journal-dir', {
    type: 'text',
    group: 'Mount',
    fallback: "a folder for each bucket below the user's state directory",
    help: "folder of this bucket's journal, on a local disk",
  }),
  own('journal-size', {
    type: 'bytes',
    group: 'Mount',
    fallback: '10 GiB',
    help: 'most bytes that the journal holds; then writers wait for uploads, at last ENOSPC',
  }),
  own('journal-delay', {
    type: 'duration',
    group: 'Mount',
    fallback: '5s',
    help:
      'from the first change of a file until it is uploaded: what is changed again, moved or ' +
      'deleted meanwhile is uploaded once or never',
  }),
  own('metadata-ttl', {
    type: 'duration',
    group: 'Cache',
    fallback: '1s',
    help: 'how long names and attributes are believed; 0 asks each time',
  }),
  own('cache-memory', {
    type: 'bytes',
    group: 'Cache',
    fallback: 'an eighth of the memory, 64 MiB to 512 MiB',
    help: 'memory for blocks of files that were read',
  }),
  own('cache-dir', {
    type: 'text',
    group: 'Cache',
    fallback: '(none)',
    help: 'folder on a local disk for blocks that were read; they survive a restart',
  }),
  own('cache-size', {
    type: 'bytes',
    group: 'Cache',
    fallback: '10 GiB',
    help: 'most bytes kept in cache-dir; a tenth of its file system stays free in any case',
  }),
  own('read-ahead', {
    type: 'bytes',
    group: 'Cache',
    fallback: '64 MiB',
    help: 'most bytes fetched ahead of a sequential reader, as far as half of cache-memory allows',
  }),
  own('write-memory', {
    type: 'bytes',
    group: 'Cache',
    fallback: '256 MiB',
    help: 'memory for bytes that BOS does not have yet',
  }),
  own('staging-dir', {
    type: 'text',
    group: 'Cache',
    fallback: '/var/tmp',
    help: 'where bytes that do not fit into write-memory wait on local disk, in files without a name',
  }),
  own('staging-size', {
    type: 'bytes',
    group: 'Cache',
    fallback: '2 GiB',
    help: 'most bytes on local disk; with 0 files are stored before their time instead',
  }),
  own('metrics', {
    type: 'text',
    group: 'Logging',
    fallback: 'none',
    help: 'serve /metrics, /healthz and /readyz at HOST:PORT or a socket /PATH',
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
    help: 'where the log goes; opened anew on SIGHUP',
  }),
  own('log-format', {
    type: 'text',
    group: 'Logging',
    fallback: 'auto',
    choices: ['auto', 'json', 'text'],
    help: 'lines of JSON, or text for people; auto: text on a terminal',
  }),
]

export interface MountConfig {
  /** Parameters of the BOS driver that were given anywhere, not yet checked. */
  readonly bos: Readonly<Record<string, unknown>>
  readonly binding: 'fuse' | 'fuse-native'
  readonly allowOther: boolean
  readonly readOnly: boolean
  readonly attributes: 'derived' | 'stored'
  readonly uid: number
  readonly gid: number
  readonly fileMode: number
  readonly directoryMode: number
  readonly exclusiveCreate: 'close' | 'open'
  readonly durability: 'bos' | 'journal'
  /** Folder of the journal; undefined for the usual place. */
  readonly journalDirectory: string | undefined
  readonly journalSize: Bytes
  readonly journalDelay: Milliseconds
  readonly metadataTtl: Milliseconds
  readonly cacheMemory: Bytes
  /** Folder of the disk cache; undefined for none. */
  readonly cacheDirectory: string | undefined
  readonly cacheSize: Bytes
  readonly readAhead: Bytes
  readonly writeMemory: Bytes
  readonly stagingDirectory: string
  readonly stagingSize: Bytes
  /** `HOST:PORT`, or the absolute path of a socket. */
  readonly metrics: string | undefined
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly logFile: string | undefined
  readonly logFormat: 'auto' | 'json' | 'text'
  /** Options for the kernel as they were given. */
  readonly kernelOptions: readonly string[]
}

/** What of the memory that there is goes to cached blocks, unless somebody says so. */
function cacheShare(memory: Bytes): Bytes {
  return Math.min(512 * MiB, Math.max(64 * MiB, Math.floor(memory / 8)))
}

/** The process that serves the mount may work in another directory. */
function absolute(path: string | undefined): string | undefined {
  return path === undefined ? undefined : resolve(path)
}

/** What all sources come to. */
export interface Inspection {
  /** Complete: where a value is wrong, its default stands in. */
  readonly config: MountConfig
  /** One sentence each; nothing may be done with `config` unless there are none. */
  readonly mistakes: readonly string[]
  /** What was given, by option, from the strongest source that has it. */
  readonly given: ReadonlyMap<string, Given>
}

/** @throws ConfigError with all mistakes */
export function resolveConfig(sources: Sources): MountConfig {
  const { config, mistakes } = inspectConfig(sources)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return config
}

/** As `resolveConfig`, for those who show what was given where. */
export function inspectConfig(sources: Sources): Inspection {
  const mistakes: string[] = []
  const { layers, foreign, kernelOptions } = gather(OPTIONS, sources, mistakes)
  const given = strongest(layers)
  if (!CREDENTIALS.flat().some(name => given.has(name)) && sources.credentialsFile !== undefined) {
    given.set('credentialsfile', { value: sources.credentialsFile, source: 'it is there' })
  }
  // For what the driver will say against them.
  for (const [name, value] of Object.entries(foreign)) {
    given.set(name, { value, source: sources.file?.name ?? '' })
  }
  const read = <T>(name: string, fallback: T): T => {
    const found = given.get(name)
    const option = OPTIONS.find(candidate => candidate.name === name)
    if (found === undefined || option === undefined) return fallback
    const value = convert(option, found.value)
    if (value !== undefined) return value as T
    mistakes.push(
      `${name}: ${describe(option)} is needed, not ${show(found.value)} (${found.source})`,
    )
    return fallback
  }
  const bosGiven: Record<string, unknown> = { ...foreign }
  for (const { name, group } of OPTIONS) {
    const found = group === 'BOS' ? given.get(name) : undefined
    if (found !== undefined) bosGiven[name] = found.value
  }
  const umask = read('umask', 0o022)
  const config: MountConfig = {
    bos: bosGiven,
    binding: read('binding', 'fuse'),
    allowOther: read('allow-other', false),
    readOnly: read('read-only', false),
    attributes: read('attributes', 'derived'),
    uid: read('uid', process.getuid?.() ?? 0),
    gid: read('gid', process.getgid?.() ?? 0),
    fileMode: read('file-mode', 0o666 & ~read('fmask', umask)),
    directoryMode: read('dir-mode', 0o777 & ~read('dmask', umask)),
    exclusiveCreate: read('exclusive-create', 'close'),
    durability: read('durability', 'bos'),
    journalDirectory: absolute(read<string | undefined>('journal-dir', undefined)),
    journalSize: read('journal-size', 10 * GiB),
    journalDelay: read('journal-delay', 5000),
    metadataTtl: read('metadata-ttl', 1000),
    cacheMemory: read('cache-memory', cacheShare(sources.memory ?? 2 * GiB)),
    cacheDirectory: absolute(read('cache-dir', undefined)),
    cacheSize: read('cache-size', 10 * GiB),
    readAhead: read('read-ahead', 64 * MiB),
    writeMemory: read('write-memory', GiB / 4),
    stagingDirectory: resolve(read('staging-dir', '/var/tmp')),
    stagingSize: read('staging-size', 2 * GiB),
    metrics: read<string | undefined>('metrics', undefined),
    logLevel: read('log-level', 'info'),
    logFile: absolute(read('log-file', undefined)),
    logFormat: read('log-format', 'auto'),
    kernelOptions,
  }
  return { config, mistakes, given }
}

/** The ways to give credentials: the strongest source that has one of them decides which. */
const CREDENTIALS = [
  ['accesskeyid', 'accesskeysecret', 'sessiontoken'],
  ['credentialsfile'],
  ['credentialscommand'],
] as const

/** For each option the strongest layer's value. */
function strongest(layers: readonly Layer[]): Map<string, Given> {
  const given = new Map<string, Given>()
  for (const layer of layers.toReversed()) {
    for (const [name, value] of layer) given.set(name, value)
  }
  for (const name of weakerCredentials(layers)) given.delete(name)
  return given
}

/** Options that a stronger source has replaced by credentials of another kind. */
function weakerCredentials(layers: readonly Layer[]): readonly string[] {
  const decisive = layers.find(layer => CREDENTIALS.flat().some(name => layer.has(name)))
  if (decisive === undefined) return []
  return CREDENTIALS.filter(names => !names.some(name => decisive.has(name))).flat()
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}
