/**
 * Tells systemd, if it has started this process as a unit of Type=notify, what has become of it, and, if the
 * unit has WatchdogSec, that its event loop turns: whoever keeps silent is killed and started again. A mount
 * that is gone needs no watchdog, for its process ends.
 *
 * Node.js cannot write to the datagram socket that systemd listens on; systemd-notify(1), which every
 * system with systemd has, can.
 *
 * @see sd_notify(3), sd_watchdog_enabled(3), systemd.service(5) `NotifyAccess=all`
 */
import { execFile } from 'node:child_process'
import type { Milliseconds } from '../util/units.js'

/**
 * Words of systemd-notify(1), e.g. `--ready`, `--status=…`, `STOPPING=1`. Never fails: a mount
 * works without being watched.
 */
export async function notifyServiceManager(...words: string[]): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return
  const args = [`--pid=${process.pid}`, ...words]
  await new Promise<void>(resolve => {
    execFile('systemd-notify', args, { timeout: 5_000 }, () => resolve())
  })
}

/**
 * Tells it twice per WatchdogSec, until the function that it returns is called.
 *
 * @param status  one line for `systemctl status`
 */
export function feedWatchdog(status: () => string): () => void {
  const interval = watchdogInterval(process.env, process.pid)
  if (interval === undefined) return () => undefined
  const feed = (): void => void notifyServiceManager('WATCHDOG=1', `--status=${status()}`)
  feed()
  const timer = setInterval(feed, interval / 2)
  // It must not keep a process alive whose mount is gone.
  timer.unref()
  return () => clearInterval(timer)
}

/** How often at least it must be told; undefined if nobody waits for it from this process. */
export function watchdogInterval(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): Milliseconds | undefined {
  const { WATCHDOG_USEC: microseconds = '', WATCHDOG_PID: wanted } = environment
  if (wanted !== undefined && wanted !== '' && Number(wanted) !== pid) return undefined
  const interval = Number(microseconds) / 1000
  return interval > 0 && Number.isFinite(interval) ? interval : undefined
}
