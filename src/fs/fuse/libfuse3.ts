/**
 * The foreign functions of the binding: libfuse3 opens the channel, libc carries the bytes.
 *
 * libfuse3 is used for one call, `fuse_open_channel`, which mounts through the setuid fusermount3
 * (always, since `auto_unmount` is always on) and returns the descriptor of /dev/fuse. The protocol
 * itself is spoken by the rest of this folder. The library and koffi are loaded on the first mount.
 *
 * With `auto_unmount` fusermount3 stays behind as a child of this process and watches a socket; when
 * the socket closes, at the latest with the death of this process, it unmounts. libfuse leaves both
 * to the process for ever, and the socket open for every program it starts. Here they are owned: the
 * socket is closed to children, and at the end it is closed and the child waited for, so that a
 * watcher never outlives its mount and pulls down a later one at the same place.
 *
 * @see fuse(4), fuse_lowlevel.h (`fuse_open_channel`, libfuse 3.3 and later), fusermount3(1)
 */
import { Buffer } from 'node:buffer'
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { endianness } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { KoffiFunc } from 'koffi'
import { ERRNO } from '../../util/errno.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type { Device } from './device.js'
import { Readiness } from './readiness.js'

/** Sonames of libfuse3, the one of 3.0 to 3.16 first, then that of 3.17 and later. */
const LIBRARIES = ['libfuse3.so.3', 'libfuse3.so.4'] as const
/** glibc's and musl's libc. */
const LIBC = ['libc.so.6', 'libc.so'] as const

// From the generic headers of Linux: fcntl.h, poll.h, eventfd.h, wait.h, mount.h.
const F_GETFD = 1
const F_SETFD = 2
const F_GETFL = 3
const F_SETFL = 4
const F_SETOWN = 8
const FD_CLOEXEC = 1
const O_NONBLOCK = 0o4000
const O_ASYNC = 0o20000
const EFD_CLOEXEC = 0o2000000
const EFD_NONBLOCK = 0o4000
const POLLIN = 1
const WNOHANG = 1
const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

const POLLFD_SIZE = 8
const IOVEC_SIZE = 16
/** IOV_MAX of linux/uio.h: an answer of more pieces is put together first. */
const IOV_MAX = 1024
/** fusermount3 ends within milliseconds of its socket closing. */
const WATCHER_DEADLINE: Milliseconds = 5_000

type Call<Arguments extends unknown[]> = KoffiFunc<(...values: Arguments) => number>

/** The C functions in use, bound once. */
interface Libc {
  readonly errno: () => number
  readonly addressOf: (bytes: Uint8Array) => bigint
  readonly openChannel: Call<[mountpoint: string, options: string]>
  readonly read: Call<[fd: number, target: Uint8Array, length: Bytes]>
  readonly write: Call<[fd: number, bytes: Uint8Array, length: Bytes]>
  readonly writev: Call<[fd: number, iovec: Uint8Array, count: number]>
  readonly poll: Call<[fds: Uint8Array, count: number, timeout: number]>
  readonly fcntl: Call<[fd: number, command: number, argument: number]>
  readonly eventfd: Call<[initial: number, flags: number]>
  readonly close: Call<[fd: number]>
  readonly waitpid: Call<[pid: number, status: null, options: number]>
  readonly umount2: Call<[target: string, flags: number]>
}

/** What the system can do for a mount. */
export interface Libfuse3 {
  /**
   * Mounts, and returns the device. fusermount3 writes its own complaints to stderr.
   * @throws Error without a reason: libfuse gives none
   */
  openDevice(mountpoint: string, options: string): Device
  /** umount2(2) from a thread. @returns 0 or minus the errno */
  unmount(mountpoint: string, options: { readonly lazy: boolean }): Promise<number>
}

/**
 * Loads libfuse3 and libc.
 * @throws Error that says what to install
 */
export async function loadLibfuse3(): Promise<Libfuse3> {
  const libc = await bindFunctions()
  return {
    openDevice: (mountpoint, options) => openDevice(libc, mountpoint, options),
    unmount: (mountpoint, { lazy }) =>
      fromThread(libc, libc.umount2, [mountpoint, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)]),
  }
}

async function bindFunctions(): Promise<Libc> {
  if (endianness() !== 'LE') throw new Error('FUSE mounts need a little-endian machine')
  const { default: koffi } = await import('koffi')
  const load = (names: readonly string[], advice: string): ReturnType<typeof koffi.load> => {
    const failures: unknown[] = []
    for (const name of names) {
      try {
        return koffi.load(name)
      } catch (error) {
        failures.push(error)
      }
    }
    throw new AggregateError(failures, `cannot load ${names.join(' or ')}${advice}`)
  }
  const fuse = load(LIBRARIES, ': install libfuse3 (apt-get install fuse3, dnf install fuse3)')
  const c = load(LIBC, '')
  const libc: Libc = {
    errno: () => koffi.errno(),
    addressOf: bytes => koffi.address(bytes),
    openChannel: fuse.func('int fuse_open_channel(const char *mountpoint, const char *options)'),
    read: c.func('long read(int fd, void *target, size_t length)'),
    write: c.func('long write(int fd, void *bytes, size_t length)'),
    writev: c.func('long writev(int fd, void *iovec, int count)'),
    poll: c.func('int poll(void *fds, unsigned long count, int timeout)'),
    fcntl: c.func('int fcntl(int fd, int command, int argument)'),
    eventfd: c.func('int eventfd(unsigned int initial, int flags)'),
    close: c.func('int close(int fd)'),
    waitpid: c.func('int waitpid(int pid, void *status, int options)'),
    umount2: c.func('int umount2(const char *target, int flags)'),
  }
  return libc
}

/** Runs a call on a thread of libuv's pool. @returns its result, or minus the errno */
function fromThread<Arguments extends unknown[]>(
  libc: Libc,
  call: Call<Arguments>,
  values: Arguments,
): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...values, (error: unknown, result: number) => {
      if (error instanceof Error) reject(error)
      else resolve(result < 0 ? -libc.errno() : result)
    })
  })
}

/** The children that this thread has started and nobody has waited for. */
function children(): number[] {
  try {
    return readFileSync('/proc/thread-self/children', 'latin1')
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    // A kernel without CONFIG_PROC_CHILDREN: the watcher stays a zombie, which harms nobody.
    return []
  }
}

/** Open sockets that a child of this process would inherit. Node's own never are. */
function inheritableSockets(libc: Libc): number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter(fd => {
      try {
        if (!readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')) return false
      } catch {
        return false
      }
      return (libc.fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) === 0
    })
}

function openDevice(libc: Libc, mountpoint: string, options: string): Device {
  const socketsBefore = new Set(inheritableSockets(libc))
  const childrenBefore = new Set(children())
  const fd = libc.openChannel(mountpoint, options)
  const sockets = inheritableSockets(libc).filter(socket => !socketsBefore.has(socket))
  const watchers = children().filter(pid => !childrenBefore.has(pid))
  if (fd < 0) {
    for (const socket of sockets) libc.close(socket)
    for (const pid of watchers) libc.waitpid(pid, null, WNOHANG)
    throw new Error(`fuse_open_channel failed on ${mountpoint}`)
  }
  for (const socket of sockets) libc.fcntl(socket, F_SETFD, FD_CLOEXEC)
  libc.fcntl(fd, F_SETFD, FD_CLOEXEC)
  libc.fcntl(fd, F_SETFL, libc.fcntl(fd, F_GETFL, 0) | O_NONBLOCK)
  return new FuseDevice(libc, { fd, sockets, watchers })
}

interface Owned {
  readonly fd: number
  readonly sockets: readonly number[]
  readonly watchers: readonly number[]
}

class FuseDevice implements Device {
  readonly #libc: Libc
  readonly #owned: Owned
  readonly #flags: number
  readonly #wakeFd: number
  readonly #pollfds = Buffer.allocUnsafeSlow(2 * POLLFD_SIZE)
  readonly #wakeCount = Buffer.from(new BigUint64Array([1n]).buffer)
  readonly #iovec = Buffer.allocUnsafeSlow(IOV_MAX * IOVEC_SIZE)
  readonly #readiness: Readiness

  constructor(libc: Libc, owned: Owned) {
    this.#libc = libc
    this.#owned = owned
    this.#flags = libc.fcntl(owned.fd, F_GETFL, 0)
    this.#wakeFd = libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
    libc.fcntl(owned.fd, F_SETOWN, process.pid)
    for (const [index, fd] of [owned.fd, this.#wakeFd].entries()) {
      this.#pollfds.writeInt32LE(fd, index * POLLFD_SIZE)
      this.#pollfds.writeUInt32LE(POLLIN, index * POLLFD_SIZE + 4)
    }
    this.#readiness = new Readiness({
      signalled: isOn => libc.fcntl(owned.fd, F_SETFL, this.#flags | (isOn ? O_ASYNC : 0)),
      isReadable: () => libc.poll(this.#pollfds, 1, 0) > 0,
      pollFromThread: done => libc.poll.async(this.#pollfds, 2, -1, () => done()),
      interrupt: () => libc.write(this.#wakeFd, this.#wakeCount, this.#wakeCount.length),
    })
  }

  read(target: Uint8Array): number {
    const length = this.#libc.read(this.#owned.fd, target, target.length)
    return length < 0 ? -this.#libc.errno() : length
  }

  write(bytes: Uint8Array, length: Bytes): number {
    const written = this.#libc.write(this.#owned.fd, bytes, length)
    return written < 0 ? -this.#libc.errno() : written
  }

  writev(header: Uint8Array, slices: readonly Uint8Array[]): number {
    if (slices.length >= IOV_MAX) {
      const whole = Buffer.concat([header, ...slices])
      return this.write(whole, whole.length)
    }
    this.#setIovec(0, header)
    for (let i = 0; i < slices.length; i++) {
      const slice = slices[i]
      if (slice !== undefined) this.#setIovec(i + 1, slice)
    }
    const written = this.#libc.writev(this.#owned.fd, this.#iovec, slices.length + 1)
    return written < 0 ? -this.#libc.errno() : written
  }

  #setIovec(index: number, bytes: Uint8Array): void {
    const at = index * IOVEC_SIZE
    this.#iovec.writeBigUInt64LE(this.#libc.addressOf(bytes), at)
    this.#iovec.writeUInt32LE(bytes.length, at + 8)
    this.#iovec.writeUInt32LE(0, at + 12)
  }

  writeFromThread(bytes: Uint8Array): Promise<number> {
    return fromThread(this.#libc, this.#libc.write, [this.#owned.fd, bytes, bytes.length])
  }

  poll(done: () => void): void {
    this.#readiness.wait(done)
  }

  wake(): void {
    this.#readiness.wake()
  }

  async close(): Promise<void> {
    this.#readiness.close()
    for (const fd of [this.#owned.fd, this.#wakeFd, ...this.#owned.sockets]) this.#libc.close(fd)
    const deadline = performance.now() + WATCHER_DEADLINE
    for (const pid of this.#owned.watchers) {
      // 0 while it lives, its id once it has been waited for, ECHILD if somebody else has.
      while (this.#libc.waitpid(pid, null, WNOHANG) === 0 && performance.now() < deadline) {
        await delay(2)
      }
    }
  }
}

/** Whether umount2 failed since the caller may not, so that fusermount3 must be asked. */
export function isPermissionError(result: number): boolean {
  return result === -ERRNO.EPERM || result === -ERRNO.EACCES
}
