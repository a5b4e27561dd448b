/** How a file system gets onto a mount point: what every FUSE binding offers. */
import type { Logger } from '../util/log.js'
import type { Operations } from './operations.js'

export interface BindingOptions {
  /** What df and /proc/mounts show as the source. Commas and backslashes are escaped by the binding. */
  source: string
  /** File system type after `fuse.`; default `bosmount`. */
  subtype?: string
  readOnly?: boolean
  /** Users other than the mounter may use the mount. */
  allowOther?: boolean
  /** The kernel checks mode, uid and gid; default true. */
  defaultPermissions?: boolean
  /** Further mount options for the kernel or fusermount3, e.g. `noexec`. */
  mountOptions?: readonly string[]
  log?: Logger
}

/** A mount that answers requests. */
export interface Mount {
  readonly mountpoint: string
  /** Settles when the session has ended, by `unmount` or from outside; rejects if it broke. */
  readonly closed: Promise<void>
  /**
   * Unmounts, then waits for `closed`. Requests are served to the end, and `destroy` has finished
   * when it resolves. Idempotent.
   * @throws ErrnoError EBUSY while files are open, unless `lazy`
   */
  unmount(options?: { lazy?: boolean }): Promise<void>
}

export interface Binding {
  readonly name: string
  /**
   * Mounts, and resolves once the kernel has agreed at INIT.
   * @throws Error that says what to install or allow when mounting is not possible
   */
  mount(operations: Operations, mountpoint: string, options: BindingOptions): Promise<Mount>
}
