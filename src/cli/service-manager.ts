/**
 * Tells systemd, if it has started this process as a unit of Type=notify, what has become of it. Node.js
 * cannot write to the datagram socket that systemd listens on; systemd-notify(1), which every system
 * with systemd has, can.
 *
 * @see sd_notify(3), systemd.service(5) `NotifyAccess=all`
 */
import { execFile } from 'node:child_process'

/** Words of sd_notify(3), e.g. `--ready`, `--status=…`. Never fails: a mount works without being watched. */
export async function notifyServiceManager(...words: string[]): Promise<void> {
  if (process.env['NOTIFY_SOCKET'] === undefined) return
  const args = [`--pid=${process.pid}`, ...words]
  await new Promise<void>(resolve => {
    execFile('systemd-notify', args, { timeout: 5_000 }, () => resolve())
  })
}
