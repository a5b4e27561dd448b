/**
 * The FUSE binding: speaks the kernel's protocol itself, see ARCHITECTURE.md.
 *
 * `mount` checks the system, opens the channel, and runs a session on it. The serving process must
 * never touch its own mount: a system call that waits for the main thread on the main thread never
 * ends. One thread of libuv's pool is taken for as long as the mount lasts, so that the executable
 * should raise UV_THREADPOOL_SIZE (default 4) before anything uses the pool.
 */
import type { Bytes, Milliseconds } from '../../util/units.js'
import { ErrnoError } from '../../util/errno.js'
import { silentLogger } from '../../util/log.js'
import type { Binding, BindingOptions, Mount } from '../binding.js'
import type { Operations } from '../operations.js'
import { MAX_REQUEST } from './abi.js'
import { startCrashGuard, type CrashGuard } from './crash-guard.js'
import { Channel, DEFAULT_CHANNEL_CONFIG, type ChannelConfig } from './channel.js'
import type { Device } from './device.js'
import { isEnding } from './ending.js'
import { loadLibfuse3, type Libfuse3 } from './libfuse3.js'
import { formatMountOptions, isNoSetuid } from './mount-options.js'
import {
  checkSystem,
  explainFailure,
  prepareMountpoint,
  removeDeadMount,
  unmount,
} from './mountpoint.js'
import { raiseReadahead } from './readahead.js'
import { Session } from './session.js'

export interface FuseBindingOptions {
  /** How the pump waits; see channel.ts. */
  readonly channel?: Partial<ChannelConfig>
  /** How long operations may take once the session has ended; default 30 s. */
  readonly drainTimeout?: Milliseconds
  /** How long a call may still be answered as if no signal had come; default 300 ms. */
  readonly interruptPatience?: Milliseconds
  /** How long the kernel may take for INIT; default 10 s. */
  readonly initTimeout?: Milliseconds
  /** Requests such as readahead that the kernel has under way at a time; default 64. */
  readonly maxBackground?: number
}

const DRAIN_TIMEOUT: Milliseconds = 30_000
/** Ctrl-C is to be felt within a second. */
const INTERRUPT_PATIENCE: Milliseconds = 300
const INIT_TIMEOUT: Milliseconds = 10_000
/**
 * One request's worth: the default of 128 KiB costs half as much processor time again, four times
 * as much saves none.
 */
const READAHEAD: Bytes = MAX_REQUEST

/** The binding over the kernel's own protocol, on Linux. */
export function createFuseBinding(options: FuseBindingOptions = {}): Binding {
  return {
    name: 'fuse',
    mount: (operations, mountpoint, bindingOptions) =>
      mount(options, operations, { ...bindingOptions, mountpoint }),
  }
}

async function mount(
  options: FuseBindingOptions,
  operations: Operations,
  target: BindingOptions & { readonly mountpoint: string },
): Promise<Mount> {
  if (process.platform !== 'linux') throw new Error('this binding needs Linux')
  const log = target.log ?? silentLogger
  const mountOptions = formatMountOptions(target)
  await checkSystem({ allowOther: target.allowOther === true })
  const libfuse3 = await loadLibfuse3()
  const path = await prepareMountpoint(libfuse3, target.mountpoint)
  const device = await openDevice(libfuse3, path, mountOptions)
  const session = new Session({
    operations,
    device,
    channel: new Channel(device, { ...DEFAULT_CHANNEL_CONFIG, ...options.channel }),
    negotiation: {
      noSetuid: isNoSetuid(target),
      ...(options.maxBackground !== undefined && { maxBackground: options.maxBackground }),
    },
    drainTimeout: options.drainTimeout ?? DRAIN_TIMEOUT,
    interruptPatience: options.interruptPatience ?? INTERRUPT_PATIENCE,
    isEnding,
    log,
  })
  const guard = startCrashGuard(path, log)
  const closed = endOf(session, { guard, libfuse3, path })
  closed.catch((error: unknown) => log.error({ err: error, path }, 'the mount has broken'))
  session.start()
  await waitForInit(session, { libfuse3, path, timeout: options.initTimeout ?? INIT_TIMEOUT })
  const raised = await raiseReadahead(path, READAHEAD)
  log.debug({ path, raised }, 'read-ahead of the kernel')
  return new FuseMount(path, { session, libfuse3, closed })
}

/** Settles as the session does, with nothing of the mount left. */
async function endOf(
  session: Session,
  mounted: { readonly guard: CrashGuard; readonly libfuse3: Libfuse3; readonly path: string },
): Promise<void> {
  try {
    await session.closed
  } catch (error) {
    await removeDeadMount(mounted.libfuse3, mounted.path)
    throw error
  } finally {
    await mounted.guard.stop()
  }
}

async function openDevice(libfuse3: Libfuse3, path: string, options: string): Promise<Device> {
  try {
    return libfuse3.openDevice(path, options)
  } catch (error) {
    throw await explainFailure(path, error)
  }
}

/** Waits for the kernel's agreement; without it, leaves nothing mounted behind. */
async function waitForInit(
  session: Session,
  mounted: { readonly libfuse3: Libfuse3; readonly path: string; readonly timeout: Milliseconds },
): Promise<void> {
  const timer = setTimeout(
    () => session.abandon(new ErrnoError('ETIMEDOUT', 'the kernel did not say INIT')),
    mounted.timeout,
  )
  try {
    await session.started
  } catch (error) {
    await unmount(mounted.libfuse3, mounted.path, { lazy: true })
    await session.closed.catch(() => undefined)
    throw new Error(`cannot mount on ${mounted.path}`, { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

interface MountParts {
  readonly session: Session
  readonly libfuse3: Libfuse3
  readonly closed: Promise<void>
}

class FuseMount implements Mount {
  readonly mountpoint: string
  readonly closed: Promise<void>
  readonly #parts: MountParts

  constructor(mountpoint: string, parts: MountParts) {
    this.mountpoint = mountpoint
    this.closed = parts.closed
    this.#parts = parts
  }

  async unmount({ lazy = false }: { lazy?: boolean } = {}): Promise<void> {
    const { session, libfuse3 } = this.#parts
    if (!session.hasEnded) await unmount(libfuse3, this.mountpoint, { lazy })
    await this.closed
  }
}
