/**
 * Which open files the kernel reads past its page cache (direct I/O). Pure.
 *
 * What is cheaper depends on how much is asked for at a time, which nobody knows when a file is opened. Past the
 * page cache each read(2) is a request to us: a cold file costs less that way in reads of 64 KiB and more, and up
 * to twice as much in smaller ones. What is read again costs a copy from the page cache, and two to ten times
 * that from us (docs/PERFORMANCE.md has the figures). Programs that serve files read them in pieces of 32 to 64 KiB,
 * those that copy them in larger ones. So files that are not too large to be read again go through the
 * page cache; larger ones, which would drive out what is hot, go past it, and have our own.
 *
 * Who can only write goes past it too: each write is a request to us either way, and the kernel saves the
 * copy into its pages, and one request for each file, in which it asks for security attributes before the
 * first write. What is written is read again from our own cache. A descriptor that can read and write, of
 * which a mapping can be made, keeps to the cache, as its pages may be dirty. And where
 * the kernel cannot map a file that is open past its cache (Linux before 6.6), programs that map files
 * shared would fail: all files go through it there.
 */
import { MiB, type Bytes } from '../../util/units.js'

/** Most layers of images are smaller, and are read again. */
const LARGE: Bytes = 32 * MiB

export type Access = 'read' | 'write'

export interface Opening {
  readonly size: Bytes
  /** What the descriptor may do; undefined: both. */
  readonly access: Access | undefined
  /** Has bytes that the store does not have yet. */
  readonly dirty: boolean
}

export function goesPastPageCache(
  { size, access, dirty }: Opening,
  session: { readonly directMappings: boolean },
): boolean {
  if (!session.directMappings) return false
  return access === 'write' || (access === 'read' && !dirty && size >= LARGE)
}
