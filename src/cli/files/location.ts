/**
 * How a file in a bucket is named on the command line: `BUCKET/PATH` or `bos://BUCKET/PATH` from the
 * top of the bucket, as `mount` has it, or `/PATH` below the bucket and rootdirectory of the
 * configuration. Pure.
 */
import { CommandError, EXIT } from '../errors.js'

export interface Location {
  /** Absent: that of the configuration. */
  readonly bucket?: string
  /** Driver path, or a pattern of them: `/` or without a slash at its end. */
  readonly path: string
  /** It was written with a slash at its end: only a directory is meant. */
  readonly isDirectory: boolean
}

/** @throws CommandError for what names nothing */
export function parseLocation(text: string): Location {
  const match = /^(?:(?:bos:\/\/)?([^/]+))?(\/.*)?$/s.exec(text)
  const bucket = match?.[1]
  if (match === null || text === '') {
    throw new CommandError(`'${text}' is not BUCKET/PATH or /PATH`, EXIT.usage)
  }
  const rest = match[2] ?? '/'
  const components = rest.split('/').filter(component => component !== '')
  const wrong = components.find(component => component === '.' || component === '..')
  if (wrong !== undefined) {
    throw new CommandError(`'${text}': a path has no '${wrong}'`, EXIT.usage)
  }
  return {
    path: `/${components.join('/')}`,
    isDirectory: rest.endsWith('/'),
    ...(bucket === undefined ? {} : { bucket }),
  }
}

/** The one bucket that all are in. @throws CommandError if there are several */
export function commonBucket(locations: readonly Location[]): string | undefined {
  const buckets = new Set(locations.map(({ bucket }) => bucket))
  const [bucket] = buckets
  if (buckets.size > 1) {
    const names = [...buckets].map(name => name ?? 'that of the configuration').join(', ')
    throw new CommandError(`all paths must be in one bucket, not in ${names}`, EXIT.usage)
  }
  return bucket
}
