/** A mount as a unit of systemd: what it tells of itself. systemd-notify(1) is played by a script here. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { environment, MountedBucket, startServer, until } from '../helpers/bosmount.js'
import { scratchFolder } from '../helpers/scratch.js'

const WATCHDOG_USEC = 200_000

void t.test('a service manager is told of readiness, life and the end', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const programs = join(folder, 'bin')
  mkdirSync(programs)
  const notify = join(programs, 'systemd-notify')
  writeFileSync(notify, `#!/bin/sh\necho "$*" >> "$NOTIFY_SOCKET"\n`)
  chmodSync(notify, 0o755)
  const told = join(folder, 'told')
  const words = (): string => (existsSync(told) ? readFileSync(told, 'utf8') : '')
  const mount = await MountedBucket.mount(t, {
    server,
    mountpoint: join(folder, 'mount'),
    env: environment({
      XDG_STATE_HOME: folder,
      PATH: `${programs}:${process.env['PATH'] ?? ''}`,
      NOTIFY_SOCKET: told,
      WATCHDOG_USEC: String(WATCHDOG_USEC),
    }),
  })
  const lives = (): number =>
    words().match(/ WATCHDOG=1 --status=bos:.*0 files to store$/gm)?.length ?? 0
  await until(() => / --ready --status=bos:\/\/tests is mounted at /.test(words()), '--ready')
  await until(() => lives() >= 3, 'three signs of life')
  t.match(words(), /^--pid=\d+ /)
  t.equal(await mount.unmount('SIGTERM'), 0, mount.process.output)
  // systemd-notify of systemd 252 has no --stopping.
  await until(() => words().includes('STOPPING=1'), 'the end')
  t.match(words(), / STOPPING=1 --status=storing/)
})
