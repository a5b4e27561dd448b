/** What a read of a range asks of a file whose size and version are known. Pure. */
import type { Bytes } from '../util/units.js'
import { InvalidOffsetError, PreconditionError } from './errors.js'

/**
 * @param wanted.etag  the version that it must be, if given
 * @throws InvalidOffsetError if the offset is negative or behind the end
 * @throws PreconditionError if it is another version
 */
export function checkRead(
  driver: string,
  { path, size, etag }: { readonly path: string; readonly size: Bytes; readonly etag: string },
  wanted: { readonly offset: Bytes; readonly etag?: string | undefined },
): void {
  const { offset } = wanted
  if (offset < 0) throw new InvalidOffsetError(path, offset, { driver })
  if (wanted.etag !== undefined && wanted.etag !== etag) {
    const message = `${path} does not hold version ${wanted.etag}`
    throw new PreconditionError(message, { driver, path })
  }
  if (offset > size) throw new InvalidOffsetError(path, offset, { driver })
}
