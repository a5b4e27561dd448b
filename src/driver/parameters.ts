/**
 * The BOS driver's parameters: names and meaning as in a registry's `storage: bos:` section. Turns
 * strings (environment, flags) or YAML values into a complete record, and tells all mistakes at once.
 *
 * Secrets go into `Secret` objects here, and no message repeats a value that might be one.
 */
import { nearest } from '../util/nearest.js'
import { Secret } from '../util/secret.js'
import { formatBytes, GiB, MiB, parseBytes, type Bytes } from '../util/units.js'
import { componentProblem, MAX_KEY_BYTES } from './path.js'

/**
 * Region to endpoint host.
 * @see https://cloud.baidu.com/doc/BOS/s/akrqd2wcx
 */
export const REGION_ENDPOINTS: Readonly<Record<string, string>> = {
  bj: 'bj.bcebos.com',
  bd: 'bd.bcebos.com',
  su: 'su.bcebos.com',
  gz: 'gz.bcebos.com',
  cd: 'cd.bcebos.com',
  yq: 'yq.bcebos.com',
  hkg: 'hkg.bcebos.com',
  fwh: 'fwh.bcebos.com',
  fsh: 'fsh.bcebos.com',
}

export const DEFAULT_REGION = 'bj'
/** 10 MB, the part size of distribution's S3 driver. */
export const DEFAULT_CHUNK_SIZE: Bytes = 10 * MiB
/** BOS has documented 5 MB and later 100 KB; 5 MB is right everywhere. */
export const MIN_CHUNK_SIZE: Bytes = 5 * MiB
/** Largest part of BOS. */
export const MAX_CHUNK_SIZE: Bytes = 5 * GiB

/** All names that are understood. */
export const PARAMETER_NAMES = [
  'accesskeyid',
  'accesskeysecret',
  'sessiontoken',
  'region',
  'bucket',
  'endpoint',
  'secure',
  'chunksize',
  'rootdirectory',
] as const

export type ParameterName = (typeof PARAMETER_NAMES)[number]

export interface BosParameters {
  readonly accesskeyid: string
  readonly accesskeysecret: Secret
  /** Token of temporary (STS) credentials. */
  readonly sessiontoken?: Secret
  readonly region: string
  readonly bucket: string
  /** Scheme, host and port, without the bucket: `https://bj.bcebos.com`. */
  readonly endpoint: string
  readonly secure: boolean
  readonly chunksize: Bytes
  /** Key prefix without leading or trailing slash; empty for the root of the bucket. */
  readonly rootdirectory: string
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

/** Values by name, and the mistakes found so far. */
class Reading {
  readonly mistakes: string[] = []
  readonly #input: Readonly<Record<string, unknown>>

  constructor(input: Readonly<Record<string, unknown>>) {
    this.#input = input
  }

  /** The value unless it is absent; an empty text is absent. */
  value(name: ParameterName): unknown {
    const value = this.#input[name]
    if (value === undefined || value === null) return undefined
    return typeof value === 'string' && value.trim() === '' ? undefined : value
  }

  text(name: ParameterName): string | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value === 'string') return value.trim()
    this.mistakes.push(`${name} must be text: put it in quotes`)
    return undefined
  }

  required(name: ParameterName, what: string): string {
    if (this.value(name) === undefined) {
      this.mistakes.push(`${name} is missing: set it to ${what}`)
      return ''
    }
    return this.text(name) ?? ''
  }
}

function readSecret(reading: Reading, name: 'accesskeysecret'): Secret {
  return new Secret(reading.required(name, 'the secret that belongs to accesskeyid'))
}

function readAccessKey(reading: Reading): string {
  const id = reading.required('accesskeyid', 'your access key id')
  // It goes into a header between slashes.
  if (/[\s/]/.test(id)) reading.mistakes.push('accesskeyid has a space or a slash in it')
  return id
}

function readBucket(reading: Reading): string {
  const bucket = reading.required('bucket', 'the name of an existing bucket')
  if (bucket !== '' && !/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) {
    reading.mistakes.push(
      `bucket ${JSON.stringify(bucket)} is no bucket name: ` +
        '3 to 63 lower-case letters, digits and hyphens, no hyphen first or last',
    )
  }
  return bucket
}

function readRegion(reading: Reading, hasEndpoint: boolean): string {
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

const SWITCHES: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
}

function readSecure(reading: Reading): boolean | undefined {
  const value = reading.value('secure')
  if (value === undefined || typeof value === 'boolean') return value
  const answer =
    typeof value === 'string' || typeof value === 'number'
      ? SWITCHES[String(value).trim().toLowerCase()]
      : undefined
  if (answer === undefined) reading.mistakes.push('secure must be true or false')
  return answer
}

/** The parts of an endpoint that are no secret and fit for a request. */
function parseEndpoint(text: string): { scheme: string | undefined; host: string } | undefined {
  const match = /^(?:(https?):\/\/)?([^/?#@\s]+)\/?$/i.exec(text)
  const host = match?.[2]
  if (match === null || host === undefined) return undefined
  const url = `http://${host}`
  if (!URL.canParse(url) || host.endsWith(':')) return undefined
  return { scheme: match[1]?.toLowerCase(), host: host.toLowerCase() }
}

/** Drops a bucket in front of a bcebos.com host: it is put there again for every request. */
function withoutBucket(host: string, bucket: string): string {
  const prefix = `${bucket}.`
  const isVirtual = bucket !== '' && host.startsWith(prefix) && isBcebos(host.slice(prefix.length))
  return isVirtual ? host.slice(prefix.length) : host
}

function isBcebos(host: string): boolean {
  return /^[^.]+(\.[^.]+)*\.bcebos\.com(:\d+)?$/.test(host)
}

function readEndpoint(
  reading: Reading,
  region: string,
  bucket: string,
): { endpoint: string; secure: boolean } {
  const explicit = readSecure(reading)
  const text = reading.text('endpoint')
  const fallback = REGION_ENDPOINTS[region] ?? `${DEFAULT_REGION}.bcebos.com`
  const parsed = parseEndpoint(text ?? fallback)
  if (parsed === undefined) {
    reading.mistakes.push(
      'endpoint must be a host, host:port or http(s) URL without path, query or user name',
    )
    return { endpoint: '', secure: explicit ?? true }
  }
  const { scheme, host } = parsed
  if (scheme !== undefined && explicit !== undefined && (scheme === 'https') !== explicit) {
    reading.mistakes.push(
      `endpoint says ${scheme} but secure is ${explicit}: drop one of the two, or make them agree`,
    )
  }
  const secure = scheme === undefined ? (explicit ?? true) : scheme === 'https'
  const url = new URL(`${secure ? 'https' : 'http'}://${withoutBucket(host, bucket)}`)
  return { endpoint: url.origin, secure }
}

function readChunkSize(reading: Reading): Bytes {
  const value = reading.value('chunksize')
  if (value === undefined) return DEFAULT_CHUNK_SIZE
  const size =
    typeof value === 'number' ? value : typeof value === 'string' ? parseBytes(value) : undefined
  if (size === undefined || !Number.isSafeInteger(size) || size < 0) {
    reading.mistakes.push('chunksize must be a size in bytes, such as 10485760, 10m or 10MB')
    return DEFAULT_CHUNK_SIZE
  }
  if (size < MIN_CHUNK_SIZE) {
    reading.mistakes.push(
      `chunksize ${size} is too small: set it to at least ${MIN_CHUNK_SIZE} (5 MB), ` +
        'the smallest part of a multipart upload',
    )
  } else if (size > MAX_CHUNK_SIZE) {
    reading.mistakes.push(
      `chunksize ${size} is too large: set it to at most ${formatBytes(MAX_CHUNK_SIZE)}`,
    )
  }
  return size
}

function readRootDirectory(reading: Reading): string {
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
  const reading = new Reading(input)
  checkNames(input, reading.mistakes)
  const accesskeyid = readAccessKey(reading)
  const accesskeysecret = readSecret(reading, 'accesskeysecret')
  const token = reading.text('sessiontoken')
  const region = readRegion(reading, reading.value('endpoint') !== undefined)
  const bucket = readBucket(reading)
  const { endpoint, secure } = readEndpoint(reading, region, bucket)
  const chunksize = readChunkSize(reading)
  const rootdirectory = readRootDirectory(reading)
  if (reading.mistakes.length > 0) throw new ParameterError(reading.mistakes)
  return {
    accesskeyid,
    accesskeysecret,
    ...(token === undefined ? {} : { sessiontoken: new Secret(token) }),
    region,
    bucket,
    endpoint,
    secure,
    chunksize,
    rootdirectory,
  }
}

/** Where a bucket's requests go. */
export interface Addressing {
  /** Scheme, host and port. */
  readonly origin: string
  /** In front of every key's slash: empty, or `/bucket`. */
  readonly pathPrefix: string
}

/**
 * Virtual-host style for `*.bcebos.com`, which has refused path style for new buckets since 2024-06;
 * path style for everything else (addresses, localhost, other names).
 */
export function addressing({ endpoint, bucket }: BosParameters): Addressing {
  const url = new URL(endpoint)
  return isBcebos(url.host)
    ? { origin: `${url.protocol}//${bucket}.${url.host}`, pathPrefix: '' }
    : { origin: url.origin, pathPrefix: `/${bucket}` }
}
