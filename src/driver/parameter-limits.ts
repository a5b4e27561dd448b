/** How much, how many and how long: sizes of parts, requests at once, times, attempts. */
import { formatBytes, type Bytes } from '../util/units.js'
import {
  DEFAULT_CHUNK_SIZE,
  DEFAULT_CONNECT_TIMEOUT,
  DEFAULT_COPY_CHUNK_SIZE,
  DEFAULT_COPY_CONCURRENCY,
  DEFAULT_COPY_THRESHOLD,
  DEFAULT_MAX_RETRIES,
  DEFAULT_MAX_THREADS,
  DEFAULT_REQUEST_TIMEOUT,
  DEFAULT_TOTAL_TIMEOUT,
  MAX_CHUNK_SIZE,
  MIN_CHUNK_SIZE,
  type BosParameters,
  type ParameterName,
  type Parameters,
} from './parameter-names.js'

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

type Limits = Pick<
  BosParameters,
  | 'chunksize'
  | 'maxthreads'
  | 'connecttimeout'
  | 'requesttimeout'
  | 'totaltimeout'
  | 'maxretries'
  | 'multipartcopychunksize'
  | 'multipartcopymaxconcurrency'
  | 'multipartcopythresholdsize'
>

/** Shorter than a round trip around the world nothing works; longer than a day nobody waits. */
const TIMES = { least: 100, most: 24 * 60 * 60_000 }

function readTimes(
  reading: Parameters,
): Pick<Limits, 'connecttimeout' | 'requesttimeout' | 'totaltimeout'> {
  const requesttimeout = reading.duration('requesttimeout', TIMES) ?? DEFAULT_REQUEST_TIMEOUT
  const total = reading.duration('totaltimeout', TIMES)
  if (total !== undefined && total < requesttimeout) {
    reading.mistakes.push(
      'totaltimeout is for all attempts and requesttimeout for one: make totaltimeout the longer one',
    )
  }
  return {
    connecttimeout: reading.duration('connecttimeout', TIMES) ?? DEFAULT_CONNECT_TIMEOUT,
    requesttimeout,
    totaltimeout: total ?? Math.max(DEFAULT_TOTAL_TIMEOUT, requesttimeout),
  }
}

/** Reads all sizes, counts and times. */
export function readLimits(reading: Parameters): Limits {
  const parallel = { least: 1, most: 1024 }
  return {
    chunksize: readSize(reading, 'chunksize', {
      fallback: DEFAULT_CHUNK_SIZE,
      least: MIN_CHUNK_SIZE,
      why: SMALLEST_PART,
    }),
    maxthreads: reading.whole('maxthreads', parallel) ?? DEFAULT_MAX_THREADS,
    ...readTimes(reading),
    maxretries: reading.whole('maxretries', { least: 0, most: 100 }) ?? DEFAULT_MAX_RETRIES,
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
