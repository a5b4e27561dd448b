/**
 * The optional package fuse-native, as far as it is used: loaded on the first mount, and typed, as it
 * brings no types. Callbacks take minus an errno, or for read and write the number of bytes.
 */
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
}

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
  ): NativeFuse & { _fuseOptions(): string }
  unmount: (mountpoint: string, done: (error: Error | null) => void) => void
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
