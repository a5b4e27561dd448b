/**
 * Which open files the kernel reads past its page cache (direct I/O). Pure.
 *
 * A cold sequential read through the page cache costs its reader two to five times the processor
 * time, and this process half as much again where the kernel's read-ahead cannot be raised
 * (ARCHITECTURE.md has the figures); a long one drives out what is hot. So large files go past it, whose bytes our own cache has if they are wanted again. Small ones go
 * through it: they are read again more often, with small reads, and then for the price of a copy.
 *
 * Who can only write goes past it too: each write is a request to us either way, and the kernel saves the
 * copy into its pages, and one request for each file, in which it asks for security attributes before the
 * first write. What is written is read again from our own cache. A descriptor that can read and write, of
 * which a mapping can be made, keeps to the cache, as its pages may be dirty. And where
 * the kernel cannot map a file that is open past its cache (Linux before 6.6), programs that map files
 * shared would fail: all files go through it there.
 */
import { MiB, type Bytes } from '../../util/units.js'

/** Below this the whole file comes with two or three requests, and readers read little at a time. */
const LARGE: Bytes = 4 * MiB

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
