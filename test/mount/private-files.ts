/** What a mount, its caches and the embedded server keep is for their user alone, and nothing lies outside. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'
import {
  bosmount,
  BUCKET,
  environment,
  MountedBucket,
  PROGRAM,
  startServer,
} from '../helpers/bosmount.js'
import { Background, run } from '../helpers/processes.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

/** Everything below a folder that somebody else could read, write or enter. */
function openToOthers(folder: string, root = folder): string[] {
  return readdirSync(folder).flatMap(name => {
    const path = join(folder, name)
    const stats = lstatSync(path)
    const own =
      (stats.mode & 0o077) === 0 ? [] : [`${relative(root, path)} ${stats.mode.toString(8)}`]
    return stats.isDirectory() ? [...own, ...openToOthers(path, root)] : own
  })
}

void t.test('with any umask, all that is kept is private', async t => {
  const folder = scratchFolder(t)
  const at = (name: string): string => join(folder, name)
  const mountpoint = at('mount')
  mkdirSync(mountpoint)
  for (const name of ['private', 'run']) mkdirSync(at(name), { mode: 0o700 })
  const below = (name: string): string => join(folder, 'private', name)
  const env = environment({ XDG_RUNTIME_DIR: at('run'), XDG_STATE_HOME: below('state') })
  const args = ['mount', '-f', '--embedded', below('data'), mountpoint]
  const places = [
    ['--cache-dir', below('cache')],
    ['--staging-dir', below('staging')],
    ['--log-file', below('logs/log')],
    ['--metrics', below('metrics.sock')],
  ].flat()
  const quoted = [process.execPath, PROGRAM, ...args, ...places].map(each => `'${each}'`).join(' ')
  const mount = new Background(t, 'sh', ['-c', `umask 0; exec ${quoted}`], { env })
  await mount.waitFor(/is mounted at/)
  writeFileSync(join(mountpoint, 'big'), Buffer.alloc(6_000_000, 'x'))
  t.equal(readFileSync(join(mountpoint, 'big')).length, 6_000_000)
  const first = await bosmount(['status', '--json'], { env })
  t.match(first.text, mountpoint)
  t.ok(readdirSync(below('data')).length > 0)
  t.ok(readdirSync(below('state')).length > 0, 'a ledger')
  // What lies in a private directory cannot be reached; it is private by itself as well.
  const entered = readdirSync(at('private')).filter(name => name !== 'logs')
  t.same(
    entered.flatMap(name => {
      const { mode } = lstatSync(below(name))
      return (mode & 0o077) === 0 ? [] : [`${name} ${mode.toString(8)}`]
    }),
    [],
  )
  t.same(
    openToOthers(at('private')).filter(line => /\.json|log |sock|cache|staging|state/.test(line)),
    [],
  )
  t.equal(lstatSync(below('logs')).mode & 0o777, 0o750)
  t.equal(lstatSync(below('logs/log')).mode & 0o777, 0o600)
  t.equal(await mount.stop('SIGTERM', 60_000), 0, mount.output)
  t.notOk(isMounted(mountpoint))
})

void t.test('no path leads out of the root directory', async t => {
  const folder = scratchFolder(t)
  const data = ['--embedded', join(folder, 'data')]
  const server = new Background(
    t,
    process.execPath,
    [
      PROGRAM,
      'serve',
      '--data-dir',
      join(folder, 'data'),
      '--listen',
      '127.0.0.1:0',
      '--bucket',
      BUCKET,
    ],
    { env: environment() },
  )
  await server.waitFor(/listening on/)
  t.equal(await server.stop('SIGTERM', 20_000), 0)
  const secret = join(folder, 'secret')
  writeFileSync(secret, 'content')
  const put = await bosmount(['put', secret, `${BUCKET}/secret`, ...data])
  t.equal(put.code, 0, put.stderr)
  for (const path of ['/../secret', '/a/../../secret', '/./../secret']) {
    const args = ['cat', path, '--bucket', BUCKET, '--rootdirectory', 'inside', ...data]
    const finished = await bosmount(args)
    t.not(finished.code, 0, path)
    t.notMatch(finished.text, 'content')
  }
  for (const root of ['../x', 'a/../../b', 'a//b']) {
    const args = ['ls', '/', '--bucket', BUCKET, '--rootdirectory', root, ...data]
    const finished = await bosmount(args)
    t.equal(finished.code, 2, root)
    t.match(finished.stderr, /rootdirectory/)
  }
})

if (process.getuid?.() === 0) {
  void t.test(
    'other users enter a mount with allow_other only, and then as modes allow',
    async t => {
      const folder = scratchFolder(t)
      // It is the mount that keeps others out.
      chmodSync(folder, 0o755)
      const server = await startServer(t, folder)
      const mountpoint = join(folder, 'mount')
      const asNobody = (...args: string[]) =>
        run(args[0] ?? '', args.slice(1), { uid: 65534, gid: 65534 })
      for (const [options, allowed] of [
        [[], false],
        [['-o', 'allow_other'], true],
        [['-o', 'allow_other,umask=077'], false],
      ] as const) {
        const mount = await MountedBucket.mount(t, { server, mountpoint, args: options })
        writeFileSync(join(mountpoint, 'file'), 'content')
        const read = await asNobody('cat', join(mountpoint, 'file'))
        t.equal(read.text, allowed ? 'content' : '', options.join(' '))
        if (!allowed) t.match(read.stderr, /Permission denied/)
        const written = await asNobody('touch', join(mountpoint, 'other'))
        t.match(written.stderr, /Permission denied/)
        t.equal(await mount.unmount('SIGTERM'), 0, mount.process.output)
      }
    },
  )
}
