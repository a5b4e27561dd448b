/**
 * The optional package fuse-native, as far as it is used: loaded on the first mount, and typed, as it
 * brings no types. Callbacks take minus an errno, or for read and write the number of bytes.
 */
import { Buffer } from 'node:buffer'
import { ERRNO } from '../../util/errno.js'

export type Done<Arguments extends unknown[] = []> = (code: number, ...result: Arguments) => void

export interface NativeStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly nlink: number
  readonly ino: number
  readonly rdev: number
  readonly blksize: number
  readonly blocks: number
  /** Milliseconds since 1970. */
  readonly atime: number
  readonly mtime: number
  readonly ctime: number
}

export interface NativeStatfs {
  readonly bsize: number
  readonly frsize: number
  readonly blocks: number
  readonly bfree: number
  readonly bavail: number
  readonly files: number
  readonly ffree: number
  readonly favail: number
  readonly namemax: number
}

/** The callbacks of fuse-native that are given. */
export interface NativeCallbacks {
  statfs(path: string, done: Done<[NativeStatfs?]>): void
  getattr(path: string, done: Done<[NativeStat?]>): void
  /** Of the stats the type and the number are used. */
  readdir(path: string, done: Done<[string[]?, NativeStat[]?]>): void
  fsyncdir(path: string, dataOnly: number, fd: number, done: Done): void
  readlink(path: string, done: Done<[string?]>): void
  truncate(path: string, size: number, done: Done): void
  ftruncate(path: string, fd: number, size: number, done: Done): void
  chown(path: string, uid: number, gid: number, done: Done): void
  chmod(path: string, mode: number, done: Done): void
  /** Milliseconds; both are the atime: fuse-native 2.2.6 loses the mtime. */
  utimens(path: string, atime: number, mtime: number, done: Done): void
  mknod(path: string, mode: number, rdev: number, done: Done): void
  open(path: string, flags: number, done: Done<[number?]>): void
  create(path: string, mode: number, done: Done<[number?]>): void
  read(path: string, fd: number, into: Buffer, size: number, offset: number, done: Done): void
  write(path: string, fd: number, from: Buffer, size: number, offset: number, done: Done): void
  flush(path: string, fd: number, done: Done): void
  fsync(path: string, dataOnly: number, fd: number, done: Done): void
  release(path: string, fd: number, done: Done): void
  unlink(path: string, done: Done): void
  rename(from: string, to: string, done: Done): void
  link(from: string, to: string, done: Done): void
  symlink(target: string, path: string, done: Done): void
  mkdir(path: string, mode: number, done: Done): void
  rmdir(path: string, done: Done): void
  /** For `answersWithRoom`; the package itself passes a position before `done`. */
  getxattr(path: string, name: string, done: Done<[Uint8Array?]>): void
  listxattr(path: string, done: Done<[(readonly string[])?]>): void
  /** `value` is valid until `done`; `position` is 0 but on macOS. */
  setxattr(
    path: string,
    name: string,
    value: Buffer,
    position: number,
    flags: number,
    done: Done,
  ): void
  removexattr(path: string, name: string, done: Done): void
}

/** Ends an operation: the result, and the memory that it was given, which is its no more. */
type Signal = (result: number, memory: ArrayBufferLike) => void

export interface NativeFuse {
  mount(done: (error?: Error | null) => void): void
  unmount(done: (error?: Error | null) => void): void
}

/** fuse-native's class, with what a subclass may change. */
export interface NativeFuseClass {
  new (
    mountpoint: string,
    callbacks: NativeCallbacks,
    options: { readonly timeout: false },
  ): NativeFuse & {
    readonly ops: NativeCallbacks
    _fuseOptions(): string
    _op_getxattr(signal: Signal, path: string, name: string, room: Buffer): void
    _op_listxattr(signal: Signal, path: string, room: Buffer): void
  }
  unmount: (mountpoint: string, done: (error: Error | null) => void) => void
}

/**
 * The class with attributes that keep to the caller's room, which fuse-native 2.2.6 tells nobody and
 * oversteps itself. No room at all asks for the length.
 * @see getxattr(2), listxattr(2)
 */
export function answersWithRoom(native: NativeFuseClass): NativeFuseClass {
  return class extends native {
    override _op_getxattr(signal: Signal, path: string, name: string, room: Buffer): void {
      this.ops.getxattr(path, name, (code, value = NOTHING) =>
        signal(code === 0 ? fill(room, value) : code, room.buffer),
      )
    }

    override _op_listxattr(signal: Signal, path: string, room: Buffer): void {
      this.ops.listxattr(path, (code, names = []) => {
        const list = Buffer.from(names.map(name => `${name}\0`).join(''))
        signal(code === 0 ? fill(room, list) : code, room.buffer)
      })
    }
  }
}

const NOTHING = new Uint8Array()

/** The length, or minus ERANGE. */
function fill(room: Buffer, value: Uint8Array): number {
  if (room.length === 0) return value.length
  if (value.length > room.length) return -ERRNO.ERANGE
  room.set(value)
  return value.length
}

// Not a literal: the package is optional and has no types.
const PACKAGE: string = 'fuse-native'

/**
 * Loads the package.
 * @throws Error that says what to install
 */
export async function loadFuseNative(): Promise<NativeFuseClass> {
  try {
    const loaded = (await import(PACKAGE)) as { default: NativeFuseClass }
    return loaded.default
  } catch (error) {
    throw new Error(adviceFor(error), { cause: error })
  }
}

function adviceFor(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    return 'the optional package fuse-native is not installed: npm install fuse-native'
  }
  if (/libfuse\.so\.2|libosxfuse/.test(message ?? '')) {
    return process.platform === 'darwin'
      ? 'fuse-native needs macFUSE: brew install --cask macfuse'
      : 'fuse-native needs libfuse.so.2: apt-get install libfuse2, dnf install fuse-libs'
  }
  return `fuse-native cannot be loaded: ${message ?? 'for no given reason'}`
}
