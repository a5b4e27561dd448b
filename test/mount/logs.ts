/** The log of a mount: signals that change it, and what must never be in it. */
import { existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  bosmount,
  environment,
  mountArguments,
  MountedBucket,
  SECRET_ACCESS_KEY,
  startServer,
} from '../helpers/bosmount.js'
import { eventually } from '../helpers/mount-process.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

void t.test('signals make the log tell more, less, and go on in a new file', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const file = join(folder, 'log')
  const mount = await MountedBucket.mount(t, { server, mountpoint, args: ['--log-file', file] })
  await mount.process.waitFor(/is mounted at/)
  const says = (name: string, pattern: RegExp) =>
    eventually(`${name} says ${pattern}`, async () =>
      existsSync(name) ? pattern.test(readFileSync(name, 'utf8')) : false,
    )
  process.kill(mount.process.pid, 'SIGUSR1')
  await says(file, /log level was changed/)
  writeFileSync(join(mountpoint, 'told'), 'x')
  await says(
    file,
    /"operation":"PutObject","key":"told","status":"200",.*"requestId":"[^"]+","msg":"request"/,
  )
  const [change = ''] = readFileSync(file, 'utf8').match(/.*log level was changed.*/) ?? []
  t.equal(change.match(/"level":/g)?.length, 1, change)
  process.kill(mount.process.pid, 'SIGUSR2')
  await says(file, /log level was changed[^]*log level was changed/)
  renameSync(file, `${file}.1`)
  process.kill(mount.process.pid, 'SIGHUP')
  await says(file, /log file was opened anew/)
  t.ok(isMounted(mountpoint))
  writeFileSync(join(mountpoint, 'file'), 'x')
  t.same(readdirSync(mountpoint).sort(), ['file', 'told'])
  t.notMatch(readFileSync(file, 'utf8'), /"key":"file"/)
  t.notMatch(mount.process.output, /debugger/i)
  t.equal(await mount.unmount(), 0, mount.process.output)
})

void t.test('no secret is ever in the log, in the output or in the record', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const secrets = {
    BCE_ACCESS_KEY_ID: 'some-id',
    BCE_SECRET_ACCESS_KEY: 'hidden-secret-of-this-test',
    BCE_SESSION_TOKEN: 'hidden-token-of-this-test',
  }
  const file = join(folder, 'log')
  const mountpoint = join(folder, 'mount')
  const debug = ['--log-level', 'debug', '--log-file', file]
  const refused = await bosmount(
    [...mountArguments({ server, mountpoint: folder, args: debug }), '-f'],
    { env: environment({ ...secrets, XDG_STATE_HOME: folder }) },
  )
  t.not(refused.code, 0, 'the server does not know the credentials')
  const proxied = await bosmount(
    [
      ...mountArguments({ server, mountpoint: folder, args: [...debug, '--maxretries', '0'] }),
      '-f',
    ],
    {
      env: environment({
        ...secrets,
        XDG_STATE_HOME: folder,
        REGISTRY_STORAGE_BOS_PROXY: 'http://someone:hidden-password@127.0.0.1:1',
      }),
    },
  )
  t.not(proxied.code, 0, 'nobody listens at the proxy')
  const runtime = join(folder, 'run')
  const mount = await MountedBucket.mount(t, {
    server,
    mountpoint,
    args: [...debug, '--requesttimeout', '3s', '--totaltimeout', '6s', '--metadata-ttl', '0'],
    env: environment({ XDG_STATE_HOME: runtime, XDG_RUNTIME_DIR: runtime }),
  })
  writeFileSync(join(mountpoint, 'file'), 'x')
  await server.process.kill()
  t.throws(() => readFileSync(join(mountpoint, 'other')), { code: 'EIO' })
  await bosmount(['umount', mountpoint, '--timeout', '60s'], {
    env: environment({ XDG_STATE_HOME: runtime, XDG_RUNTIME_DIR: runtime }),
  })
  const written = [refused, proxied].map(({ text, stderr }) => text + stderr)
  const all = [...written, mount.process.output, readFileSync(file, 'utf8')].join('\n')
  t.ok(all.length > 500)
  t.match(all, /some-id|file|connect/)
  t.notMatch(all, /hidden-/)
  t.notOk(all.includes(SECRET_ACCESS_KEY), 'nor those that are right')
})
