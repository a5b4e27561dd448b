/**
 * The BOS driver's parameters: turns strings (environment, flags) or YAML values into a complete record,
 * and tells all mistakes at once. parameter-names.ts says which there are; where the service is and how
 * much is asked of it are read in files of their own.
 *
 * Secrets go into `Secret` objects here, and no message repeats a value that might be one.
 */
import { nearest } from '../util/nearest.js'
import { Secret } from '../util/secret.js'
import { Reading } from './parameter-reading.js'
import { readLimits } from './parameter-limits.js'
import { readPlace } from './parameter-place.js'
import {
  ENCRYPTIONS,
  OBJECT_ACLS,
  PARAMETER_NAMES,
  STORAGE_CLASSES,
  type BosParameters,
  type ParameterName,
  type Parameters,
} from './parameter-names.js'
import { componentProblem, MAX_KEY_BYTES } from './path.js'
import { S3_ONLY_PARAMETERS } from './s3-parameters.js'

export { addressing, REGION_ENDPOINTS, type Addressing } from './endpoint.js'
export {
  MIN_CHUNK_SIZE,
  PARAMETER_NAMES,
  type BosParameters,
  type ParameterName,
} from './parameter-names.js'

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
  const bucket = readBucket(reading)
  const parameters: BosParameters = {
    ...credentials,
    bucket,
    ...readPlace(reading, bucket),
    ...readLimits(reading),
    rootdirectory: readRootDirectory(reading),
    ...readObjectSettings(reading),
  }
  if (reading.mistakes.length > 0) throw new ParameterError(reading.mistakes)
  return parameters
}
