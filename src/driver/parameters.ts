/**
 * The BOS driver's parameters: names and meaning as in a registry's `storage: bos:` section. Turns
 * strings (environment, flags) or YAML values into a complete record, and tells all mistakes at once.
 *
 * Secrets go into `Secret` objects here, and no message repeats a value that might be one.
 */
import { nearest } from '../util/nearest.js'
import { Secret } from '../util/secret.js'
import { formatBytes, GiB, MiB, type Bytes } from '../util/units.js'
import {
  ADDRESSINGS,
  isAddress,
  parseEndpoint,
  REGION_ENDPOINTS,
  withoutBucket,
  type AddressingStyle,
} from './endpoint.js'
import { Reading } from './parameter-reading.js'
import { componentProblem, MAX_KEY_BYTES } from './path.js'
import { S3_ONLY_PARAMETERS } from './s3-parameters.js'

export { addressing, REGION_ENDPOINTS, type Addressing } from './endpoint.js'

export const DEFAULT_REGION = 'bj'
/** 10 MB, the part size of distribution's S3 driver. */
export const DEFAULT_CHUNK_SIZE: Bytes = 10 * MiB
/** BOS has documented 5 MB and later 100 KB; 5 MB is right everywhere. */
export const MIN_CHUNK_SIZE: Bytes = 5 * MiB
/** Largest part of BOS. */
export const MAX_CHUNK_SIZE: Bytes = 5 * GiB
/** A copy call moves up to 5 GB, but its connection waits for all of it. */
export const DEFAULT_COPY_THRESHOLD: Bytes = 512 * MiB
export const DEFAULT_COPY_CHUNK_SIZE: Bytes = 128 * MiB
export const DEFAULT_COPY_CONCURRENCY = 16
export const DEFAULT_MAX_THREADS = 32

/** Classes that an object can be read from at any time: ARCHIVE must be restored first. */
export const STORAGE_CLASSES = [
  'STANDARD',
  'STANDARD_IA',
  'COLD',
  'MAZ_STANDARD',
  'MAZ_STANDARD_IA',
  'MAZ_COLD',
] as const
export const ENCRYPTIONS = ['AES256', 'SM4'] as const
export const OBJECT_ACLS = ['private', 'public-read', 'public-read-write'] as const

/** All names that are understood. */
export const PARAMETER_NAMES = [
  'accesskeyid',
  'accesskeysecret',
  'sessiontoken',
  'credentialsfile',
  'credentialscommand',
  'region',
  'bucket',
  'endpoint',
  'addressing',
  'redirectendpoint',
  'secure',
  'cafile',
  'skipverify',
  'proxy',
  'chunksize',
  'rootdirectory',
  'storageclass',
  'encrypt',
  'objectacl',
  'useragent',
  'maxthreads',
  'multipartcopychunksize',
  'multipartcopymaxconcurrency',
  'multipartcopythresholdsize',
] as const

export type ParameterName = (typeof PARAMETER_NAMES)[number]

export interface BosParameters {
  /** Absent where credentials come from a file or a command. */
  readonly accesskeyid?: string
  readonly accesskeysecret?: Secret
  /** Token of temporary (STS) credentials. */
  readonly sessiontoken?: Secret
  /** A file of Baidu's CLI or of bosfs2; read again when it changes. */
  readonly credentialsfile?: string
  /** A command whose standard output is JSON with credentials; run again before they expire. */
  readonly credentialscommand?: string
  readonly region: string
  readonly bucket: string
  /** Scheme, host and port, without the bucket: `https://bj.bcebos.com`. */
  readonly endpoint: string
  readonly addressing: AddressingStyle
  /** As `endpoint`, for the URLs that `redirectURL` gives out; absent is the endpoint itself. */
  readonly redirectendpoint?: string
  readonly secure: boolean
  /** File of the authorities (PEM) to trust instead of the built-in ones. */
  readonly cafile?: string
  /** Take any certificate. */
  readonly skipverify: boolean
  /** URL of an HTTP proxy; it may hold a password. */
  readonly proxy?: Secret
  readonly chunksize: Bytes
  /** Key prefix without leading or trailing slash; empty for the root of the bucket. */
  readonly rootdirectory: string
  /** Absent is the bucket's own. */
  readonly storageclass?: (typeof STORAGE_CLASSES)[number]
  readonly encrypt?: (typeof ENCRYPTIONS)[number]
  readonly objectacl?: (typeof OBJECT_ACLS)[number]
  readonly useragent?: string
  /** Most requests at once. */
  readonly maxthreads: number
  /** Part size of a copy in parts. */
  readonly multipartcopychunksize: Bytes
  /** Parts, or objects of a directory, that are copied at once. */
  readonly multipartcopymaxconcurrency: number
  /** Larger objects are copied in parts. */
  readonly multipartcopythresholdsize: Bytes
}

/** The parameters are wrong; the message has one line per mistake. */
export class ParameterError extends Error {
  readonly code = 'PARAMETERS'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(`invalid BOS parameters:\n${mistakes.map(mistake => `  ${mistake}`).join('\n')}`)
    this.name = 'ParameterError'
    this.mistakes = mistakes
  }
}

type Parameters = Reading<ParameterName>

type Credentials = Pick<
  BosParameters,
  'accesskeyid' | 'accesskeysecret' | 'sessiontoken' | 'credentialsfile' | 'credentialscommand'
>

/** Keys, or a file or command that gives them: one of the three. */
function readCredentials(reading: Parameters): Credentials {
  const isGiven = (name: ParameterName): boolean => reading.value(name) !== undefined
  const keys = (['accesskeyid', 'accesskeysecret', 'sessiontoken'] as const).filter(isGiven)
  const others = (['credentialsfile', 'credentialscommand'] as const).filter(isGiven)
  if (others.length === 0) return readKeys(reading)
  const given = [...others, ...keys.slice(0, 1)]
  if (given.length > 1) {
    reading.mistakes.push(`credentials are given twice, by ${given.join(' and ')}: leave one`)
  }
  const file = reading.text('credentialsfile')
  const command = reading.text('credentialscommand')
  return {
    ...(file === undefined ? {} : { credentialsfile: file }),
    ...(command === undefined ? {} : { credentialscommand: command }),
  }
}

function readKeys(reading: Parameters): Credentials {
  const id = reading.required('accesskeyid', 'your access key id (or set credentialsfile)')
  // It goes into a header between slashes.
  if (/[\s/]/.test(id)) reading.mistakes.push('accesskeyid has a space or a slash in it')
  const secret = reading.required('accesskeysecret', 'the secret that belongs to accesskeyid')
  const token = reading.text('sessiontoken')
  return {
    accesskeyid: id,
    accesskeysecret: new Secret(secret),
    ...(token === undefined ? {} : { sessiontoken: new Secret(token) }),
  }
}

function readBucket(reading: Parameters): string {
  const bucket = reading.required('bucket', 'the name of an existing bucket')
  if (bucket !== '' && !/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) {
    reading.mistakes.push(
      `bucket ${JSON.stringify(bucket)} is no bucket name: ` +
        '3 to 63 lower-case letters, digits and hyphens, no hyphen first or last',
    )
  }
  return bucket
}

function readRegion(reading: Parameters, hasEndpoint: boolean): string {
  const known = Object.keys(REGION_ENDPOINTS)
  const list = `one of ${known.join(', ')}`
  if (reading.value('region') === undefined) {
    if (!hasEndpoint) reading.mistakes.push(`region is missing: set it to ${list}, or set endpoint`)
    return DEFAULT_REGION
  }
  const region = reading.text('region') ?? DEFAULT_REGION
  if (hasEndpoint || known.includes(region)) return region
  const near = nearest(region, known)
  const suggestion = near === undefined ? '' : ` (did you mean ${near}?)`
  reading.mistakes.push(
    `region ${JSON.stringify(region)} is not known${suggestion}: set it to ${list}, or set endpoint`,
  )
  return region
}

type Location = Pick<BosParameters, 'endpoint' | 'secure' | 'addressing' | 'redirectendpoint'>

function readLocation(reading: Parameters, region: string, bucket: string): Location {
  const explicit = reading.flag('secure')
  const style = reading.choice('addressing', ADDRESSINGS) ?? 'auto'
  const text = reading.text('endpoint')
  const fallback = REGION_ENDPOINTS[region] ?? `${DEFAULT_REGION}.bcebos.com`
  const parsed = parseEndpoint(text ?? fallback)
  if (parsed === undefined) {
    reading.mistakes.push(
      'endpoint must be a host, host:port or http(s) URL without path, query or user name',
    )
    return { endpoint: '', secure: explicit ?? true, addressing: style }
  }
  const { scheme, host } = parsed
  if (scheme !== undefined && explicit !== undefined && (scheme === 'https') !== explicit) {
    reading.mistakes.push(
      `endpoint says ${scheme} but secure is ${explicit}: drop one of the two, or make them agree`,
    )
  }
  if (style === 'virtual' && isAddress(host)) {
    reading.mistakes.push('addressing virtual needs a host name: an address cannot name the bucket')
  }
  if (style === 'cname' && text === undefined) {
    reading.mistakes.push("addressing cname needs endpoint: the bucket's own host")
  }
  const secure = scheme === undefined ? (explicit ?? true) : scheme === 'https'
  const named = style === 'cname' ? host : withoutBucket(host, bucket)
  const redirect = readRedirectEndpoint(reading, bucket, secure)
  return {
    endpoint: new URL(`${secure ? 'https' : 'http'}://${named}`).origin,
    secure,
    addressing: style,
    ...(redirect === undefined ? {} : { redirectendpoint: redirect }),
  }
}

function readRedirectEndpoint(
  reading: Parameters,
  bucket: string,
  secure: boolean,
): string | undefined {
  const text = reading.text('redirectendpoint')
  if (text === undefined) return undefined
  const parsed = parseEndpoint(text)
  if (parsed === undefined) {
    reading.mistakes.push('redirectendpoint must be a host, host:port or http(s) URL')
    return undefined
  }
  const scheme = parsed.scheme ?? (secure ? 'https' : 'http')
  return new URL(`${scheme}://${withoutBucket(parsed.host, bucket)}`).origin
}

type Tls = Pick<BosParameters, 'cafile' | 'skipverify' | 'proxy'>

function readTls(reading: Parameters, secure: boolean): Tls {
  const cafile = reading.text('cafile')
  const skipverify = reading.flag('skipverify') ?? false
  if (cafile !== undefined && skipverify) {
    reading.mistakes.push('cafile says whom to trust and skipverify to trust anybody: leave one')
  }
  if (!secure && cafile !== undefined) {
    reading.mistakes.push(
      'cafile is for HTTPS, but the endpoint is plain HTTP: drop one of the two',
    )
  }
  const proxy = readProxy(reading)
  return {
    skipverify,
    ...(cafile === undefined ? {} : { cafile }),
    ...(proxy === undefined ? {} : { proxy }),
  }
}

function readProxy(reading: Parameters): Secret | undefined {
  const text = reading.text('proxy')
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/') {
    return new Secret(text)
  }
  reading.mistakes.push('proxy must be a URL such as http://proxy.example.com:3128')
  return undefined
}

/** A size between two limits; the limits are told with the reason for the lower one. */
function readSize(
  reading: Parameters,
  name: ParameterName,
  { fallback, least, why }: { fallback: Bytes; least: Bytes; why: string },
): Bytes {
  const size = reading.bytes(name)
  if (size === undefined) return fallback
  if (size < least) {
    reading.mistakes.push(`${name} ${size} is too small: set it to at least ${least} ${why}`)
  } else if (size > MAX_CHUNK_SIZE) {
    reading.mistakes.push(
      `${name} ${size} is too large: set it to at most ${formatBytes(MAX_CHUNK_SIZE)}`,
    )
  }
  return size
}

const SMALLEST_PART = '(5 MB), the smallest part of a multipart upload'

type Sizes = Pick<
  BosParameters,
  | 'chunksize'
  | 'maxthreads'
  | 'multipartcopychunksize'
  | 'multipartcopymaxconcurrency'
  | 'multipartcopythresholdsize'
>

function readSizes(reading: Parameters): Sizes {
  const parallel = { least: 1, most: 1024 }
  return {
    chunksize: readSize(reading, 'chunksize', {
      fallback: DEFAULT_CHUNK_SIZE,
      least: MIN_CHUNK_SIZE,
      why: SMALLEST_PART,
    }),
    maxthreads: reading.whole('maxthreads', parallel) ?? DEFAULT_MAX_THREADS,
    multipartcopychunksize: readSize(reading, 'multipartcopychunksize', {
      fallback: DEFAULT_COPY_CHUNK_SIZE,
      least: MIN_CHUNK_SIZE,
      why: SMALLEST_PART,
    }),
    multipartcopymaxconcurrency:
      reading.whole('multipartcopymaxconcurrency', parallel) ?? DEFAULT_COPY_CONCURRENCY,
    multipartcopythresholdsize: readSize(reading, 'multipartcopythresholdsize', {
      fallback: DEFAULT_COPY_THRESHOLD,
      least: 0,
      why: '',
    }),
  }
}

type ObjectSettings = Pick<BosParameters, 'storageclass' | 'encrypt' | 'objectacl' | 'useragent'>

function readObjectSettings(reading: Parameters): ObjectSettings {
  const storageclass = readStorageClass(reading)
  const encrypt = readEncryption(reading)
  const objectacl = reading.choice('objectacl', OBJECT_ACLS)
  const useragent = reading.text('useragent')
  if (useragent !== undefined && !/^[\x20-\x7e]{1,256}$/.test(useragent)) {
    reading.mistakes.push('useragent must be printable ASCII of at most 256 characters')
  }
  return {
    ...(storageclass === undefined ? {} : { storageclass }),
    ...(encrypt === undefined ? {} : { encrypt }),
    ...(objectacl === undefined ? {} : { objectacl }),
    ...(useragent === undefined ? {} : { useragent }),
  }
}

/** NONE, as in the S3 driver, leaves it to the bucket. */
function readStorageClass(reading: Parameters): ObjectSettings['storageclass'] {
  const text = reading.word('storageclass').toUpperCase()
  if (text === 'ARCHIVE') {
    reading.mistakes.push(
      'storageclass ARCHIVE cannot be used: an archived object cannot be read without restoring it',
    )
    return undefined
  }
  return text === 'NONE' ? undefined : reading.choice('storageclass', STORAGE_CLASSES)
}

/** True, as in the S3 driver, is AES256. */
function readEncryption(reading: Parameters): ObjectSettings['encrypt'] {
  const text = reading.word('encrypt').toLowerCase()
  if (text === 'true') return 'AES256'
  return text === 'false' ? undefined : reading.choice('encrypt', ENCRYPTIONS)
}

function readRootDirectory(reading: Parameters): string {
  const text = reading.text('rootdirectory')
  const root = (text ?? '').replace(/^\//, '').replace(/\/$/, '')
  if (root === '') return ''
  const problem = root
    .split('/')
    .map(componentProblem)
    .find(found => found !== undefined)
  if (problem !== undefined) reading.mistakes.push(`rootdirectory is no directory path: ${problem}`)
  else if (Buffer.byteLength(root) > MAX_KEY_BYTES / 2) {
    reading.mistakes.push(`rootdirectory is longer than ${MAX_KEY_BYTES / 2} bytes`)
  }
  return root
}

function checkNames(input: Readonly<Record<string, unknown>>, mistakes: string[]): void {
  const known: readonly string[] = PARAMETER_NAMES
  for (const name of Object.keys(input)) {
    if (known.includes(name)) continue
    if (Object.hasOwn(S3_ONLY_PARAMETERS, name)) {
      mistakes.push(`parameter ${name} of the S3 driver: ${S3_ONLY_PARAMETERS[name]}`)
      continue
    }
    const near = nearest(name, known)
    const advice = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`
    mistakes.push(`parameter ${JSON.stringify(name)} is not known: ${advice}`)
  }
}

/**
 * Reads the parameters.
 *
 * @param input  by lower-case name; texts as they come from environment and flags, or YAML values.
 *               Absent, null and empty are the same.
 * @throws ParameterError naming every mistake
 */
export function parseBosParameters(input: Readonly<Record<string, unknown>>): BosParameters {
  const reading: Parameters = new Reading(input)
  checkNames(input, reading.mistakes)
  const credentials = readCredentials(reading)
  const region = readRegion(reading, reading.value('endpoint') !== undefined)
  const bucket = readBucket(reading)
  const location = readLocation(reading, region, bucket)
  const parameters: BosParameters = {
    ...credentials,
    region,
    bucket,
    ...location,
    ...readTls(reading, location.secure),
    ...readSizes(reading),
    rootdirectory: readRootDirectory(reading),
    ...readObjectSettings(reading),
  }
  if (reading.mistakes.length > 0) throw new ParameterError(reading.mistakes)
  return parameters
}
