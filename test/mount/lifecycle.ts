/** How mounts begin and end: in the background, in the foreground, by signal, from outside, by force. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  bosmount,
  environment,
  mountArguments,
  PROGRAM,
  MountedBucket,
  startServer,
  until,
  type Server,
} from '../helpers/bosmount.js'
import { bucketContents } from '../helpers/bucket.js'
import { Background, run, runOk } from '../helpers/processes.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'
import { fingerprint } from '../helpers/tree.js'

interface Stage {
  readonly server: Server
  readonly mountpoint: string
  readonly folder: string
}

async function setStage(t: Test): Promise<Stage> {
  const folder = scratchFolder(t)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  return { server: await startServer(t, folder), mountpoint, folder }
}

const HELLO = Buffer.from('hello\n')

void t.test('mount returns when the mount answers, and umount ends it', async t => {
  const { server, mountpoint, folder } = await setStage(t)
  const args = ['--log-file', join(folder, 'log')]
  const mounted = await bosmount(mountArguments({ server, mountpoint, args }))
  t.equal(mounted.code, 0, mounted.stderr)
  t.ok(isMounted(mountpoint))
  writeFileSync(join(mountpoint, 'file'), HELLO)
  t.same(readdirSync(mountpoint), ['file'])
  const unmounted = await bosmount(['umount', mountpoint])
  t.equal(unmounted.code, 0, unmounted.stderr)
  t.notOk(isMounted(mountpoint))
  t.same(await bucketContents(t, server), { '/file': fingerprint(HELLO) })
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  void t.test(`-f stays in the foreground until ${signal}, then unmounts`, async t => {
    const { server, mountpoint } = await setStage(t)
    const mount = await MountedBucket.mount(t, { server, mountpoint })
    writeFileSync(join(mountpoint, 'file'), HELLO)
    t.notOk(mount.process.hasEnded)
    t.equal(await mount.unmount(signal), 0, mount.process.output)
    t.same(readdirSync(mountpoint), [])
    t.same(await bucketContents(t, server), { '/file': fingerprint(HELLO) })
  })
}

void t.test('a mount in use goes at the second signal and loses nothing', async t => {
  const { server, mountpoint } = await setStage(t)
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const script = 'exec 3> file; echo hello >&3; echo written; read -t 60 < <(sleep 60)'
  const writer = new Background(t, 'bash', ['-c', script], { cwd: mountpoint })
  await writer.waitFor(/written/)
  mount.process.signal('SIGINT')
  await mount.process.waitFor(/another signal|signal again/)
  t.ok(isMounted(mountpoint), 'at the first signal it says why it stays')
  mount.process.signal('SIGINT')
  await until(() => !isMounted(mountpoint), 'the mount point to be free')
  await writer.kill()
  t.equal(await mount.process.end(), 0, mount.process.output)
  t.same(await bucketContents(t, server), { '/file': fingerprint(HELLO) })
})

void t.test('a mount that is unmounted from outside ends by itself', async t => {
  const { server, mountpoint } = await setStage(t)
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  writeFileSync(join(mountpoint, 'file'), HELLO)
  await runOk('fusermount3', ['-u', mountpoint])
  t.equal(await mount.process.end(), 0, mount.process.output)
  t.same(await bucketContents(t, server), { '/file': fingerprint(HELLO) })
})

void t.test('after kill -9 the mount point is free and nothing closed is lost', async t => {
  const { server, mountpoint } = await setStage(t)
  const first = await MountedBucket.mount(t, { server, mountpoint })
  const big = Buffer.alloc(25_000_000, 'content')
  writeFileSync(join(mountpoint, 'small'), HELLO)
  writeFileSync(join(mountpoint, 'big'), big)
  mkdirSync(join(mountpoint, 'folder'))
  // A directory has no close; fsync is what makes it durable.
  await runOk('sync', [join(mountpoint, 'folder')])
  await first.kill()
  t.same(readdirSync(mountpoint), [], 'the mount point is a plain folder again')
  const second = await MountedBucket.mount(t, { server, mountpoint })
  t.same(readdirSync(mountpoint), ['big', 'folder', 'small'])
  t.ok(readFileSync(join(mountpoint, 'big')).equals(big))
  t.ok(readFileSync(join(mountpoint, 'small')).equals(HELLO))
  t.equal(await second.unmount(), 0)
})

void t.test('a user who is not root mounts and unmounts', async t => {
  const { server, folder } = await setStage(t)
  const asRoot = process.getuid?.() === 0
  // Nobody's numbers on every Linux; whoever runs the tests without being root is the user.
  const user = asRoot ? { uid: 65534, gid: 65534 } : {}
  const home = join(folder, 'home')
  const mountpoint = join(home, 'mount')
  mkdirSync(mountpoint, { recursive: true })
  if (asRoot) {
    await runOk('chown', ['-R', '65534:65534', home])
    await runOk('chmod', ['755', folder])
  }
  const env = environment({ HOME: home, XDG_RUNTIME_DIR: home })
  const args = ['--log-file', join(home, 'log')]
  const mounted = await bosmount(mountArguments({ server, mountpoint, args }), { ...user, env })
  t.equal(mounted.code, 0, mounted.stderr)
  // Not even root may enter the mount of another user, so the shell enters it by itself.
  const script = 'cd "$0" && echo hello > file && cat file && stat -c %u file'
  const used = await run('bash', ['-c', script, mountpoint], { ...user, cwd: '/' })
  t.equal(used.text, `hello\n${asRoot ? 65534 : process.getuid?.()}\n`, used.stderr)
  const unmounted = await bosmount(['umount', mountpoint], { ...user, env })
  t.equal(unmounted.code, 0, unmounted.stderr)
  t.same(await bucketContents(t, server), { '/file': fingerprint(HELLO) })
})

void t.test('umount leaves the mounts of others alone', async t => {
  const finished = await bosmount(['umount', '/proc'])
  t.equal(finished.code, 1)
  t.match(finished.stderr, /\/proc is a mount of type proc, not of bosmount: see umount\(8\)/)
})

void t.test('umount of a folder that is no mount says so', async t => {
  const folder = scratchFolder(t)
  const finished = await bosmount(['umount', folder])
  t.not(finished.code, 0)
  t.match(finished.stderr, folder)
})

void t.test('mount --embedded keeps its bucket in a folder', async t => {
  const folder = scratchFolder(t)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const args = [PROGRAM, 'mount', '--embedded', join(folder, 'data'), mountpoint, '-f']
  // The quick start makes its own credentials.
  const env = environment({ BCE_ACCESS_KEY_ID: undefined, BCE_SECRET_ACCESS_KEY: undefined })
  for (const names of [['one'], ['one', 'two']]) {
    const mount = new Background(t, process.execPath, args, { env })
    await until(() => isMounted(mountpoint), 'the embedded mount', mount)
    writeFileSync(join(mountpoint, names.at(-1) ?? ''), HELLO)
    t.same(readdirSync(mountpoint), names)
    t.equal(await mount.stop(), 0, mount.output)
    t.notOk(isMounted(mountpoint))
  }
})
