/**
 * The open /dev/fuse of one mount, as the pump sees it: system calls that return, never throw.
 *
 * Results follow the kernel: a length, or minus the errno. libfuse3.ts has the real one; tests have
 * one without a kernel.
 */
import type { Bytes } from '../../util/units.js'

export interface Device {
  /** read(2), non-blocking: one whole request into `target`. */
  read(target: Uint8Array): number
  /** write(2) of the first `length` bytes: one whole answer. */
  write(bytes: Uint8Array, length: Bytes): number
  /** writev(2) of a header and what follows it: one whole answer. */
  writev(header: Uint8Array, slices: readonly Uint8Array[]): number
  /** write(2) from a thread, for notifications: the kernel may block them for as long as it likes. */
  writeFromThread(bytes: Uint8Array): Promise<number>
  /** Calls back once there may be something to read, the session has ended, or `wake` was called. */
  poll(done: () => void): void
  /** Ends a `poll` that is under way, or the next one. */
  wake(): void
  /** Gives everything back. Only when no `poll` and no `writeFromThread` is under way. */
  close(): Promise<void>
}
