/**
 * The second binding: the optional package fuse-native over libfuse 2, for systems without the
 * kernel protocol of Linux, e.g. macOS.
 *
 * It is slower than the FUSE binding, and can do less: requests of 128 KiB, no interrupts, no caller,
 * no notifications, no mtime from utimens(2), none of its UTIME_NOW and UTIME_OMIT; every thread that
 * libfuse ever used stays behind as a handle of the event loop. libfuse 2 itself hides a file that is
 * removed while open under a name `.fuse_hidden…` until it is closed.
 *
 * fuse-native does not tell when the kernel has ended the session. So the table of mounts is looked
 * at every now and then; that never touches the mount.
 */
import { execFile } from 'node:child_process'
import { readFile, realpath } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ErrnoError } from '../../util/errno.js'
import { silentLogger } from '../../util/log.js'
import { KiB, type Milliseconds } from '../../util/units.js'
import type { Binding, BindingOptions, Mount } from '../binding.js'
import type { Operations, RequestContext } from '../operations.js'
import { PathCallbacks } from './callbacks.js'
import {
  answersWithRoom,
  loadFuseNative,
  type NativeFuse,
  type NativeFuseClass,
} from './fuse-native.js'

const run = promisify(execFile)

const WATCH_INTERVAL: Milliseconds = 200
const START_DEADLINE: Milliseconds = 15_000
const UNMOUNT_DEADLINE: Milliseconds = 30_000
/** How long calls and handles may stay open once the mount is gone. */
const DRAIN_DEADLINE: Milliseconds = 30_000
/** What libfuse 2.9 asks the kernel for. */
const REQUEST_SIZE = 128 * KiB
/** fuse-native's own buffer for the mount point and for the options. */
const NATIVE_TEXT_LIMIT = 1023

/** The binding over fuse-native and libfuse 2. */
export function createNativeBinding(): Binding {
  return { name: 'fuse-native', mount }
}

async function mount(
  operations: Operations,
  mountpoint: string,
  options: BindingOptions,
): Promise<Mount> {
  const native = await loadFuseNative()
  const path = await realpath(mountpoint)
  const log = options.log ?? silentLogger
  const ended = new AbortController()
  const paths = new PathCallbacks({ operations, context: ownContext(ended.signal), log })
  const fuse = makeFuse(native, path, { callbacks: paths, text: formatOptions(options) })
  operations.init({ maxWrite: REQUEST_SIZE, maxReadahead: REQUEST_SIZE }, NO_NOTIFIER)
  await start(fuse, path)
  return new NativeMount(path, { fuse, paths, operations, ended })
}

const NO_NOTIFIER = { invalidateInode(): void {}, invalidateEntry(): void {} }

/** fuse-native does not say who asks. */
function ownContext(signal: AbortSignal): RequestContext {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, pid: process.pid, signal }
}

function formatOptions(options: BindingOptions): string {
  const source = options.source.replaceAll(/[\\,]/g, character => `\\${character}`)
  const onLinux = [
    'big_writes',
    'auto_unmount',
    'nonempty',
    `subtype=${options.subtype ?? 'bosmount'}`,
  ]
  const text = [
    `fsname=${source}`,
    ...(process.platform === 'linux' ? onLinux : []),
    ...(options.readOnly === true ? ['ro'] : []),
    ...(options.allowOther === true ? ['allow_other'] : []),
    ...((options.defaultPermissions ?? true) ? ['default_permissions'] : []),
    'nosuid',
    'nodev',
    ...(options.mountOptions ?? []),
  ].join(',')
  if (text.length > NATIVE_TEXT_LIMIT - 2) throw new TypeError('the mount options are too long')
  return text
}

function makeFuse(
  native: NativeFuseClass,
  path: string,
  { callbacks, text }: { readonly callbacks: PathCallbacks; readonly text: string },
): NativeFuse {
  if (path.length > NATIVE_TEXT_LIMIT) throw new ErrnoError('ENAMETOOLONG', path)
  // It unmounts lazily and on its own terms; NativeMount has unmounted when it comes to this.
  native.unmount = (_, done) => done(null)
  // fuse-native knows neither big_writes nor an escape.
  const Fuse = class extends answersWithRoom(native) {
    override _fuseOptions(): string {
      return `-o${text}`
    }
  }
  // Its timeout would answer for an operation that is still using the request's memory.
  return new Fuse(path, callbacks.callbacks, { timeout: false })
}

async function start(fuse: NativeFuse, path: string): Promise<void> {
  const started = new Promise<void>((resolve, reject) => {
    fuse.mount(error => (error ? reject(error) : resolve()))
  })
  const timer = new AbortController()
  const late = delay(START_DEADLINE, undefined, { signal: timer.signal }).then(() => {
    throw new ErrnoError('ETIMEDOUT', 'libfuse did not start')
  })
  try {
    await Promise.race([started, late])
  } catch (error) {
    throw new Error(
      `cannot mount on ${path}: libfuse refused; it needs an empty place, /dev/fuse and fusermount (apt-get install fuse3)`,
      { cause: error },
    )
  } finally {
    timer.abort()
    late.catch(() => undefined)
  }
}

/** Whether the table of mounts names this place. Does not look at the place itself. */
async function isMounted(path: string): Promise<boolean> {
  if (process.platform === 'linux') {
    const escaped = path.replaceAll(
      /[\\\s]/g,
      character => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
    )
    const table = await readFile('/proc/self/mounts', 'utf8')
    return table.split('\n').some(line => line.split(' ')[1] === escaped)
  }
  const { stdout } = await run('mount', { timeout: UNMOUNT_DEADLINE })
  return stdout.includes(` on ${path} (`)
}

async function unmountPath(path: string, lazy: boolean): Promise<void> {
  const byUser = process.platform === 'linux' && process.geteuid?.() !== 0
  const [program, ...args] = byUser
    ? ['fusermount', '-u', ...(lazy ? ['-z'] : [])]
    : ['umount', ...(lazy ? [process.platform === 'linux' ? '-l' : '-f'] : [])]
  try {
    const env = { ...process.env, LC_ALL: 'C' }
    await run(program, [...args, path], { timeout: UNMOUNT_DEADLINE, env })
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    if (/busy/i.test(stderr)) {
      throw new ErrnoError('EBUSY', `${path} is in use`, { cause: error })
    }
    if (!(await isMounted(path))) return
    throw new Error(`could not unmount ${path}: ${stderr.trim()}`, { cause: error })
  }
}

interface MountParts {
  readonly fuse: NativeFuse
  readonly paths: PathCallbacks
  readonly operations: Operations
  readonly ended: AbortController
}

class NativeMount implements Mount {
  readonly mountpoint: string
  readonly closed: Promise<void>
  readonly #parts: MountParts
  #gone = false

  constructor(mountpoint: string, parts: MountParts) {
    this.mountpoint = mountpoint
    this.#parts = parts
    this.closed = this.#watch()
    // Those who do not wait for the end need not hear how it went.
    this.closed.catch(() => undefined)
  }

  async unmount({ lazy = false }: { lazy?: boolean } = {}): Promise<void> {
    if (!this.#gone) await unmountPath(this.mountpoint, lazy)
    await this.closed
  }

  async #watch(): Promise<void> {
    const { fuse, paths, operations, ended } = this.#parts
    while (await isMounted(this.mountpoint)) await delay(WATCH_INTERVAL)
    this.#gone = true
    // What the kernel asked for last may still be on its way from libfuse's threads.
    await delay(WATCH_INTERVAL)
    const until = performance.now() + DRAIN_DEADLINE
    while (paths.busy && performance.now() < until) await delay(WATCH_INTERVAL / 4)
    ended.abort(new ErrnoError('EINTR', 'unmounted'))
    await operations.destroy()
    await promisify(fuse.unmount.bind(fuse))()
  }
}
