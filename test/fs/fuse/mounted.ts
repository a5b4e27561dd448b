/** The FUSE binding on real mounts, served by processes of their own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, statSync } from 'node:fs'
import { open, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { mountedSuite } from '../../helpers/mounted-suite.js'
import {
  eventually,
  makeMountpoint,
  mountsAt,
  run,
  startMount,
  startServer,
} from '../../helpers/mount-process.js'

const TIMEOUT = { timeout: 120_000 }
const FUSE = { binding: 'fuse' } as const
const NOBODY = 65534
const isRoot = process.getuid?.() === 0

/** Why this machine cannot mount, if it cannot. */
function obstacle(): string | undefined {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return undefined
  } catch {
    return 'no access to /dev/fuse'
  }
}

/** A user needs /dev/fuse to have the mode that udev gives it, and only root can become one. */
function userObstacle(): string | false {
  if (!isRoot) return 'only root can become another user'
  return (statSync('/dev/fuse').mode & 0o006) === 0o006 ? false : '/dev/fuse is not for everyone'
}

const user = { ...TIMEOUT, skip: userObstacle() }

const reason = obstacle()
if (reason !== undefined) {
  t.plan(0, reason)
  process.exit()
}
t.setTimeout(300_000)

await t.test('as root or whoever runs the tests', { timeout: 290_000 }, t => mountedSuite(t, FUSE))

await t.test('a user mounts, works, and unmounts', user, async t => {
  const server = await startMount(t, { ...FUSE, uid: NOBODY })
  const shell = { cwd: '/', uid: NOBODY, gid: NOBODY }
  const file = join(server.mountpoint, 'a')
  const { stdout } = await run('sh', ['-c', `echo mine > ${file} && cat ${file} && id -u`], shell)
  t.equal(stdout, `mine\n${NOBODY}\n`)
  await t.rejects(stat(file), { code: 'EACCES' }, 'even root is kept out without allow_other')
  server.send({ do: 'unmount', lazy: false })
  await server.next('unmounted')
  t.equal((await server.next('closed')).destroyed, 1)
})

await t.test("a user's mount point is free again after kill -9", user, async t => {
  const server = await startMount(t, { ...FUSE, uid: NOBODY })
  server.child.kill('SIGKILL')
  await eventually('unmounted', async () => (await mountsAt(server.mountpoint)).length === 0)
  const again = await startMount(t, { ...FUSE, uid: NOBODY, mountpoint: server.mountpoint })
  t.equal(again.mountpoint, server.mountpoint)
})

await t.test('the mount point is usable at once after kill -9', TIMEOUT, async t => {
  const server = await startMount(t, FUSE)
  const held = await open(join(server.mountpoint, 'a'), 'w')
  server.child.kill('SIGKILL')
  await server.exited()
  const again = await startMount(t, { ...FUSE, mountpoint: server.mountpoint })
  await writeFile(join(again.mountpoint, 'b'), 'new')
  t.strictSame(await readdir(again.mountpoint), ['b'])
  await t.rejects(held.write('x'), 'what was open stays broken')
  await t.rejects(held.close())
})

await t.test(
  'a program that the server has started does not hold a dead mount',
  TIMEOUT,
  async t => {
    const server = await startMount(t, FUSE)
    server.send({ do: 'spawn' })
    const { spawned } = await server.next('spawned')
    t.teardown(() => process.kill(spawned, 'SIGKILL'))
    server.child.kill('SIGKILL')
    await eventually('unmounted', async () => (await mountsAt(server.mountpoint)).length === 0)
  },
)

await t.test(
  'a mount that a crash has left dead is replaced',
  { ...TIMEOUT, skip: !isRoot },
  async t => {
    const server = await startMount(t, FUSE)
    const pid = Number(server.child.pid)
    const watchers = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
    for (const watcher of watchers.trim().split(' ')) process.kill(Number(watcher), 'SIGKILL')
    server.child.kill('SIGKILL')
    await server.exited()
    await t.rejects(stat(server.mountpoint), { code: 'ENOTCONN' })
    const again = await startMount(t, { ...FUSE, mountpoint: server.mountpoint })
    t.strictSame(await readdir(again.mountpoint), [])
    t.equal((await mountsAt(again.mountpoint)).length, 1)
  },
)

await t.test(
  'after an orderly end nothing is left: no child, no later unmount',
  TIMEOUT,
  async t => {
    const first = await startMount(t, FUSE)
    const pid = Number(first.child.pid)
    await run('umount', [first.mountpoint])
    await first.next('closed')
    const second = await startMount(t, { ...FUSE, mountpoint: first.mountpoint })
    await first.exited()
    await delay(100)
    t.equal((await mountsAt(second.mountpoint)).length, 1, 'the first watcher let the second alone')
    t.throws(() => process.kill(pid, 0))
  },
)

await t.test('a process that exits while it serves is not held up', TIMEOUT, async t => {
  const server = await startMount(t, FUSE)
  server.send({ do: 'exit' })
  t.strictSame(await server.exited(), { code: 0, signal: null })
  await eventually('unmounted', async () => (await mountsAt(server.mountpoint)).length === 0)
})

await t.test('Ctrl-C ends a read that waits, and interrupts it', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, directIo: true })
  await writeFile(join(server.mountpoint, 'blocked'), 'x'.repeat(100))
  const reader = spawn('cat', [join(server.mountpoint, 'blocked')], { stdio: 'ignore' })
  await server.called('read')
  reader.kill('SIGINT')
  const [code, signal] = await once(reader, 'exit', { signal: AbortSignal.timeout(60_000) })
  t.strictSame([code, signal], [null, 'SIGINT'])
  await server.called('interrupted')
  t.strictSame(await readdir(server.mountpoint), ['blocked'], 'the mount lives on')
})

await t.test('Ctrl-C ends a read that waits for the page cache', TIMEOUT, async t => {
  const server = await startMount(t, FUSE)
  t.teardown(() => server.send({ do: 'unblock' }))
  await writeFile(join(server.mountpoint, 'blocked'), 'x'.repeat(100))
  const reader = spawn('cat', [join(server.mountpoint, 'blocked')], { stdio: 'ignore' })
  await server.called('read')
  reader.kill('SIGINT')
  const [code, signal] = await once(reader, 'exit', { signal: AbortSignal.timeout(60_000) })
  t.strictSame([code, signal], [null, 'SIGINT'])
})

await t.test('unmounting a mount in use is EBUSY, and lazily it is not', TIMEOUT, async t => {
  const server = await startMount(t, FUSE)
  const file = await open(join(server.mountpoint, 'a'), 'w+')
  server.send({ do: 'unmount', lazy: false })
  t.match((await server.next('refused')).refused, /EBUSY/)
  await file.write('still served')
  server.send({ do: 'unmount', lazy: true })
  await eventually('gone', async () => (await mountsAt(server.mountpoint)).length === 0)
  await file.write(', even now')
  t.equal((await file.read(Buffer.alloc(100), 0, 100, 0)).bytesRead, 22)
  await file.close()
  await server.next('unmounted')
  t.strictSame(await server.exited(), { code: 0, signal: null })
})

await t.test('a user is told EBUSY too', user, async t => {
  const server = await startMount(t, { ...FUSE, uid: NOBODY })
  const script = 'cd "$1" && echo ready && exec sleep 60'
  const asNobody = { cwd: '/', uid: NOBODY, gid: NOBODY }
  const shell = spawn('sh', ['-c', script, 'sh', server.mountpoint], asNobody)
  await once(shell.stdout, 'data')
  server.send({ do: 'unmount', lazy: false })
  t.match((await server.next('refused')).refused, /EBUSY/)
  shell.kill()
  await once(shell, 'exit')
  server.send({ do: 'unmount', lazy: false })
  await server.next('unmounted')
})

await t.test('root lets others in where it is told to', user, async t => {
  const server = await startMount(t, { ...FUSE, allowOther: true })
  const asNobody = { cwd: '/', uid: NOBODY, gid: NOBODY }
  const { mountpoint } = server
  await run('chmod', ['755', join(mountpoint, '..')])
  await run('mkdir', ['-m', '777', join(mountpoint, 'd')])
  await run('sh', ['-c', `echo x > ${mountpoint}/d/a`], asNobody)
  t.equal((await stat(join(mountpoint, 'd', 'a'))).uid, NOBODY, 'the file system learns who asks')
  await t.rejects(run('sh', ['-c', `echo x > ${mountpoint}/b`], asNobody), /ermission denied/)
})

await t.test('names that cannot be are refused', TIMEOUT, async t => {
  const { mountpoint } = await startMount(t, FUSE)
  const invalid = Buffer.concat([Buffer.from(`${mountpoint}/`), Buffer.from([0xff, 0x61])])
  await t.rejects(writeFile(invalid, ''), { code: 'EILSEQ' })
  await t.rejects(stat(invalid), { code: 'ENOENT' })
  const long = join(mountpoint, 'ü'.repeat(128))
  await t.rejects(writeFile(long, ''), { code: 'ENAMETOOLONG' })
  await t.rejects(stat(long), { code: 'ENAMETOOLONG' })
  await writeFile(join(mountpoint, `${'ü'.repeat(127)}a`), '')
  await writeFile(join(mountpoint, 'a\ufffdb'), '')
  t.equal((await readdir(mountpoint)).length, 2)
})

await t.test('requests are as large as they can be, and no call is wasted', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, directIo: true })
  const file = join(server.mountpoint, 'a')
  await run('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', 'count=4'])
  await run('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'count=1'])
  server.send({ do: 'stats' })
  const { calls, maxWrite } = await server.next('calls')
  t.equal(maxWrite, 1024 * 1024)
  t.match(calls, { write: 4, read: 1, create: 1 })
  t.equal(calls['access'], undefined, 'the kernel checks permissions itself')
})

await t.test('the kernel forgets what it is told to', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, valid: 3600 })
  const file = join(server.mountpoint, 'a')
  await writeFile(file, 'old')
  const held = await open(file, 'r')
  const read = async (): Promise<string> => {
    const { buffer, bytesRead } = await held.read(Buffer.alloc(10), 0, 10, 0)
    return buffer.toString('utf8', 0, bytesRead)
  }
  t.equal(await read(), 'old')
  server.send({ do: 'change', name: 'a', content: 'new', tell: false })
  await server.next('changed')
  t.equal(await read(), 'old', 'cached')
  server.send({ do: 'change', name: 'a', content: 'new', tell: true })
  await eventually('read anew', async () => (await read()) === 'new')
  await held.close()
  await stat(file)
  server.send({ do: 'remove', name: 'a' })
  await eventually('looked up anew', () =>
    stat(file).then(
      () => false,
      () => true,
    ),
  )
})

await t.test('a notification that has to wait does not stop the session', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, valid: 3600 })
  const file = join(server.mountpoint, 'blocked')
  await writeFile(file, 'x'.repeat(100))
  // Its page is locked for as long as the read is not answered, and that is what the kernel waits for.
  const reader = spawn('cat', [file], { stdio: 'ignore' })
  t.teardown(() => reader.kill())
  server.send({ do: 'change', name: 'blocked', content: 'y'.repeat(100), tell: true })
  await server.called('read')
  server.send({ do: 'change', name: 'blocked', content: 'z'.repeat(100), tell: true })
  await server.next('changed')
  t.teardown(() => server.send({ do: 'unblock' }))
  // Longer than the notification is held back for the sake of the read.
  await delay(2500)
  await writeFile(join(server.mountpoint, 'other'), 'served')
  t.equal(await readFile(join(server.mountpoint, 'other'), 'utf8'), 'served')
  server.send({ do: 'unblock' })
  await once(reader, 'exit')
  await run('umount', [server.mountpoint])
  await server.next('closed')
})

await t.test('kill -9 is not held up by a notification that waits', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, valid: 3600 })
  const file = join(server.mountpoint, 'blocked')
  await writeFile(file, 'x'.repeat(100))
  server.send({ do: 'change', name: 'blocked', content: 'y'.repeat(100), tell: true })
  await server.next('changed')
  const reader = spawn('cat', [file], { stdio: 'ignore' })
  await server.called('read')
  server.send({ do: 'change', name: 'blocked', content: 'z'.repeat(100), tell: true })
  await server.next('changed')
  await delay(100)
  server.child.kill('SIGKILL')
  await once(reader, 'exit', { signal: AbortSignal.timeout(60_000) })
  await eventually('unmounted', async () => (await mountsAt(server.mountpoint)).length === 0)
})

await t.test('the source is shown as it was given', TIMEOUT, async t => {
  const server = await startMount(t, { ...FUSE, source: 'a,b\\c, ro d' })
  const [line = ''] = await mountsAt(server.mountpoint)
  const unescaped = line.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  )
  t.ok(unescaped.startsWith('a,b\\c, ro d /'), line)
  t.match(line, /fuse\.bosmount rw,nosuid,nodev/)
})

await t.test('what prevents a mount is said', TIMEOUT, async t => {
  const mountpoint = await makeMountpoint(t)
  const missing = await startServer(t, { ...FUSE, mountpoint: join(mountpoint, 'none') })
  t.match((await missing.next('failed')).failed, /none does not exist; create/)
  await writeFile(join(mountpoint, 'file'), '')
  const file = await startServer(t, { ...FUSE, mountpoint: join(mountpoint, 'file') })
  t.match((await file.next('failed')).failed, /is not a directory/)
  const full = await startMount(t, { ...FUSE, mountpoint })
  t.strictSame(await readdir(full.mountpoint), [], 'a directory need not be empty')
})

await t.test('a user is told what he may not', user, async t => {
  const mountpoint = await makeMountpoint(t, 1)
  await run('chmod', ['755', join(mountpoint, '..')])
  const foreign = await startServer(t, { ...FUSE, mountpoint, uid: NOBODY })
  t.match((await foreign.next('failed')).failed, /directory that he may write/)
  if (/^user_allow_other/m.test(await readFile('/etc/fuse.conf', 'utf8').catch(() => ''))) return
  const open = await startServer(t, { ...FUSE, uid: NOBODY, allowOther: true })
  t.match((await open.next('failed')).failed, /"user_allow_other" in \/etc\/fuse.conf/)
})
