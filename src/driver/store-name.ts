/** What a bucket, and a root in it, are called. */
import type { BosParameters } from './parameters.js'

/** `bos://bucket/root`. */
export function sourceOf({
  bucket,
  rootdirectory,
}: Pick<BosParameters, 'bucket' | 'rootdirectory'>): string {
  return rootdirectory === '' ? `bos://${bucket}` : `bos://${bucket}/${rootdirectory}`
}

/**
 * What tells it from others, on whatever endpoint they are.
 *
 * @param embedded  the data directory of an embedded server, which has another address each time
 */
export function storeName(parameters: BosParameters, embedded: string | undefined): string {
  return `${embedded ?? parameters.endpoint} ${sourceOf(parameters)}`
}
