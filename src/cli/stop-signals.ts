/**
 * Signals that end a mount: SIGINT, SIGTERM, and SIGHUP where it says that nobody is there any more.
 *
 * They are listened to before there is anything to unmount. What is under way is aborted as long as
 * nothing is mounted. Once the kernel has been asked to mount, that comes to its end first: a process
 * that dies in between would leave a dead mount point behind.
 */
import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningMount } from '../mount.js'
import { ErrnoError } from '../util/errno.js'
import type { Milliseconds } from '../util/units.js'
import { explain } from './errors.js'
import { InterruptError } from './interrupt.js'
import { notifyServiceManager } from './service-manager.js'

export interface StopSignals {
  /** Aborted, with an InterruptError, by the first signal. */
  readonly signal: AbortSignal
  /**
   * From now on, and if a signal has come already, the first one unmounts as soon as nothing is open
   * any more; the next one detaches the mount at once, and what is open can still be used, and is
   * flushed when it is closed.
   */
  unmount(mount: RunningMount): void
  /** Signals do again what they do by default. */
  remove(): void
}

const BUSY_POLL: Milliseconds = 250

/** @param options.onHangup  whether SIGHUP ends the mount, too */
export function listenForStop({ onHangup }: { readonly onHangup: boolean }): StopSignals {
  const stop = new AbortController()
  // Everything under way listens to the one signal: many listeners are no leak.
  setMaxListeners(0, stop.signal)
  const signals = [...(['SIGINT', 'SIGTERM'] as const), ...(onHangup ? ['SIGHUP' as const] : [])]
  let received = 0
  let mounted: RunningMount | undefined
  const unmount = (): void => {
    if (mounted === undefined || received === 0) return
    const { mountpoint } = mounted
    void notifyServiceManager('STOPPING=1', '--status=storing what is left, and unmounting')
    unmountWhenFree(mounted, () => received > 1).catch((error: unknown) => {
      process.stderr.write(`cannot unmount ${mountpoint}: ${explain(error)}\n`)
    })
  }
  const onSignal = (signal: (typeof signals)[number]): void => {
    received += 1
    stop.abort(new InterruptError(signal))
    unmount()
  }
  for (const signal of signals) process.on(signal, onSignal)
  return {
    signal: stop.signal,
    unmount: mount => {
      mounted = mount
      unmount()
    },
    remove: () => {
      for (const signal of signals) process.off(signal, onSignal)
    },
  }
}

async function unmountWhenFree(mount: RunningMount, isLazy: () => boolean): Promise<void> {
  let announced = false
  for (;;) {
    try {
      await mount.unmount({ lazy: isLazy() })
      return
    } catch (error) {
      if (!(error instanceof ErrnoError) || error.code !== 'EBUSY') throw error
    }
    if (!announced) {
      process.stderr.write(
        `${mount.mountpoint} is busy: waiting until nothing is open on it any more; ` +
          'signal again to detach it at once\n',
      )
    }
    announced = true
    await sleep(BUSY_POLL)
  }
}
