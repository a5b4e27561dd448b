/**
 * Which open files the kernel reads past its page cache (direct I/O). Pure.
 *
 * A cold sequential read through the page cache costs its reader two to five times the processor
 * time, and this process half as much again where the kernel's read-ahead cannot be raised
 * (ARCHITECTURE.md has the figures); a long one drives out what is hot. So large files go past it, whose bytes our own cache has if they are wanted again. Small ones go
 * through it: they are read again more often, with small reads, and then for the price of a copy.
 *
 * A file that may be written keeps to one way: through the cache, as its pages may be dirty. And where
 * the kernel cannot map a file that is open past its cache (Linux before 6.6), programs that map files
 * shared would fail: all files go through it there.
 */
import { MiB, type Bytes } from '../../util/units.js'

/** Below this the whole file comes with two or three requests, and readers read little at a time. */
const LARGE: Bytes = 4 * MiB

export interface Opening {
  readonly size: Bytes
  /** Opened for reading alone. */
  readonly readOnly: boolean
  /** Has bytes that the store does not have yet. */
  readonly dirty: boolean
}

export function goesPastPageCache(
  { size, readOnly, dirty }: Opening,
  session: { readonly directMappings: boolean },
): boolean {
  return session.directMappings && readOnly && !dirty && size >= LARGE
}
