/**
 * The BOS driver's parameters: names and meaning as in a registry's `storage: bos:` section, their
 * defaults and what they may be.
 */
import type { Secret } from '../util/secret.js'
import { GiB, MiB, type Bytes, type Milliseconds } from '../util/units.js'
import type { AddressingStyle } from './endpoint.js'
import type { Reading } from './parameter-reading.js'

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
export const DEFAULT_CONNECT_TIMEOUT: Milliseconds = 10_000
export const DEFAULT_REQUEST_TIMEOUT: Milliseconds = 60_000
export const DEFAULT_TOTAL_TIMEOUT: Milliseconds = 2 * 60_000
export const DEFAULT_MAX_RETRIES = 5

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
  'connecttimeout',
  'requesttimeout',
  'totaltimeout',
  'maxretries',
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
  /** Longest wait for a connection. */
  readonly connecttimeout: Milliseconds
  /** Longest time for one attempt, the time for its bytes excepted. */
  readonly requesttimeout: Milliseconds
  /** Longest time for all attempts of a request and the pauses between, the time for its bytes excepted. */
  readonly totaltimeout: Milliseconds
  /** Further attempts after the first. */
  readonly maxretries: number
  /** Part size of a copy in parts. */
  readonly multipartcopychunksize: Bytes
  /** Parts, or objects of a directory, that are copied at once. */
  readonly multipartcopymaxconcurrency: number
  /** Larger objects are copied in parts. */
  readonly multipartcopythresholdsize: Bytes
}

/** The parameters while they are being read. */
export type Parameters = Reading<ParameterName>
