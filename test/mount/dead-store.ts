/**
 * A store that does not answer: calls that wait for it can be interrupted, others fail after their time,
 * everything works again when it is back, and unmounting says what could not be saved.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bosmount, mountArguments, MountedBucket, startServer } from '../helpers/bosmount.js'
import type { Server } from '../helpers/bosmount.js'
import { bucketContents, openBucket } from '../helpers/bucket.js'
import { replaceFaults } from '../helpers/fault-file.js'
import { Background, run } from '../helpers/processes.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'
import { fingerprint } from '../helpers/tree.js'

t.setTimeout(300_000)

const SHORT = ['--request-timeout', '2s', '--total-timeout', '5s', '--metadata-ttl', '0']
/** In ms: what a request may take; whoever is interrupted waits no longer for it. */
const DEADLINE = 120_000
/** In ms: after how long a request that hangs is made again, at most. */
const REQUEST = 8_000
const LONG = ['--request-timeout', `${DEADLINE}ms`, '--total-timeout', `${DEADLINE}ms`]

interface Stage {
  readonly server: Server
  readonly folder: string
  readonly mountpoint: string
}

async function setStage(t: Test): Promise<Stage> {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const bucket = await openBucket(t, server)
  await bucket.putContent('/file', Buffer.from('content'))
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  // A stopped process could not be ended in order.
  t.teardown(() => server.process.signal('SIGCONT'))
  return { server, folder, mountpoint }
}

/** Runs a program that must wait, and interrupts it: it must not go on until the store's time is over. */
async function interrupt(t: Test, cwd: string, command: readonly string[]): Promise<void> {
  const [program = '', ...args] = command
  const waiting = new Background(t, program, args, { cwd })
  await waiting.asleep(program)
  t.not(await waiting.stop('SIGINT', DEADLINE / 2), 0, `${program} has not done its work`)
}

void t.test('a program that waits for a store which hangs can be interrupted', async t => {
  const { server, mountpoint } = await setStage(t)
  const mount = await MountedBucket.mount(t, {
    server,
    mountpoint,
    args: [...LONG, '--metadata-ttl', '0'],
  })
  mkdirSync(join(mountpoint, 'unsaved'))
  server.process.signal('SIGSTOP')
  const programs: readonly (readonly string[])[] = [
    ['sync', '.'],
    ['cat', 'file'],
    ['ls', '-l', '.'],
    ['dd', 'if=/dev/zero', 'of=new', 'bs=1', 'count=1', 'conv=fsync'],
    ['mv', 'file', 'other'],
    ['rm', '-f', 'file'],
  ]
  for (const command of programs) await interrupt(t, mountpoint, command)
  server.process.signal('SIGCONT')
  t.equal(readFileSync(join(mountpoint, 'file'), 'utf8').length, 7, 'the store is back')
  t.equal(await mount.unmount(), 0, mount.process.output)
})

void t.test('changes of names that are interrupted are done when the store is back', async t => {
  const folder = scratchFolder(t)
  const faults = join(folder, 'faults')
  writeFileSync(faults, '[]')
  const server = await startServer(t, folder, ['--faults', faults])
  const bucket = await openBucket(t, server)
  for (const name of ['removed', 'moved', 'replacing', 'replaced', 'tree/one', 'tree/two']) {
    await bucket.putContent(`/${name}`, Buffer.from(name))
  }
  await bucket.makeDirectory('/empty')
  const mountpoint = join(folder, 'mount')
  const args = ['--request-timeout', `${REQUEST}ms`, '--total-timeout', `${DEADLINE}ms`]
  const mount = await MountedBucket.mount(t, { server, mountpoint, args })
  const changing = [
    'DeleteObject',
    'DeleteMultipleObjects',
    'CopyObject',
    'InitiateMultipartUpload',
  ]
  const hang = [{ fault: 'hang', operation: changing }]
  await replaceFaults(server, faults, hang)
  const begin = (...command: string[]) => interrupt(t, mountpoint, command)
  // Alone: it would wait for the others, and not have begun.
  await begin('mv', 'tree', 'grown')
  await replaceFaults(server, faults, [])
  const first = await run('mv', ['tree', 'grown'], { cwd: mountpoint })
  t.equal(first.code, 0, first.stderr)
  await replaceFaults(server, faults, hang)
  await begin('rm', 'removed')
  await begin('rmdir', 'empty')
  await begin('mv', 'moved', 'arrived')
  await begin('mv', '-f', 'replacing', 'replaced')
  await replaceFaults(server, faults, [])
  // The same again waits for what goes on, and has its outcome; what depends on it finds it done.
  const again = await run('mv', ['moved', 'arrived'], { cwd: mountpoint })
  t.equal(again.code, 0, again.stderr)
  const written = await run('sh', ['-c', 'echo anew > removed'], { cwd: mountpoint })
  t.equal(written.code, 0, written.stderr)
  t.equal(await mount.unmount(), 0, mount.process.output)
  t.same(await bucketContents(t, server), {
    '/arrived': fingerprint(Buffer.from('moved')),
    '/grown/one': fingerprint(Buffer.from('tree/one')),
    '/grown/two': fingerprint(Buffer.from('tree/two')),
    '/removed': fingerprint(Buffer.from('anew\n')),
    '/replaced': fingerprint(Buffer.from('replacing')),
  })
})

void t.test(
  'a store that hangs is an error after its time, and nothing when it is back',
  async t => {
    const { server, mountpoint } = await setStage(t)
    const mount = await MountedBucket.mount(t, { server, mountpoint, args: SHORT })
    server.process.signal('SIGSTOP')
    const read = await run('cat', ['file'], { cwd: mountpoint })
    t.not(read.code, 0)
    t.match(read.stderr, /Input\/output error|timed out/i)
    const write = await run('dd', ['if=/dev/zero', 'of=new', 'bs=1', 'count=1'], {
      cwd: mountpoint,
    })
    t.not(write.code, 0, 'no success is reported')
    server.process.signal('SIGCONT')
    t.equal(readFileSync(join(mountpoint, 'file'), 'utf8'), 'content')
    writeFileSync(join(mountpoint, 'new'), 'written')
    t.equal(readFileSync(join(mountpoint, 'new'), 'utf8'), 'written')
    t.equal(await mount.unmount(), 0, mount.process.output)
  },
)

void t.test('unmounting without the store says what could not be saved', async t => {
  const { server, mountpoint, folder } = await setStage(t)
  const times = ['--request-timeout', '1s', '--total-timeout', '2s', '--metadata-ttl', '10m']
  const log = join(folder, 'log')
  const args = [...times, '--attributes', 'stored', '--log-file', log]
  const mounted = await bosmount(mountArguments({ server, mountpoint, args }))
  t.equal(mounted.code, 0, mounted.stderr)
  // All names are known now, so that a new one needs no answer.
  t.same(readdirSync(mountpoint), ['file'])
  server.process.signal('SIGSTOP')
  for (let i = 0; i < 25; i += 1) mkdirSync(join(mountpoint, `directory${i}`))
  chmodSync(join(mountpoint, 'file'), 0o600)
  await server.process.kill()
  const unmounted = await bosmount(['umount', mountpoint])
  t.notOk(isMounted(mountpoint), 'the mount point is free')
  t.equal(unmounted.code, 1)
  t.match(unmounted.stderr, /not everything could be stored: EIO: (\/directory\d+\/, ){19}/)
  t.match(unmounted.stderr, /and \d+ more: /)
  const logged = readFileSync(log, 'utf8')
  for (const name of ['/file (attributes)', '/directory0/', '/directory24/']) {
    t.ok(logged.includes(`"path":"${name}"`), `the log names ${name}`)
  }
})

void t.test(
  'umount --force ends what hangs, frees the mount point and says what is lost',
  async t => {
    const { server, mountpoint, folder } = await setStage(t)
    const times = ['--request-timeout', '2s', '--total-timeout', '4s', '--metadata-ttl', '0']
    const args = [...times, '--log-file', join(folder, 'log')]
    const mounted = await bosmount(mountArguments({ server, mountpoint, args }))
    t.equal(mounted.code, 0, mounted.stderr)
    // A shell would close a copy of the descriptor after each command, which stores the file.
    const script = `const fs = require('node:fs')
    fs.writeSync(fs.openSync(process.argv[1], 'w'), 'kept')
    console.log('written')
    setTimeout(() => {}, 60_000)`
    const writer = new Background(t, process.execPath, ['-e', script, join(mountpoint, 'dirty')])
    await writer.waitFor(/written/)
    server.process.signal('SIGSTOP')
    const reader = new Background(t, 'sh', ['-c', `echo starts; exec cat '${mountpoint}/file'`])
    await reader.waitFor(/starts/)
    const forced = await bosmount(['umount', mountpoint, '--force', '--timeout', '60s'])
    t.notOk(isMounted(mountpoint), 'the mount point is free')
    t.equal(forced.code, 1, 'it does not claim that all was stored')
    t.match(forced.stderr, /could be stored: .*dirty/)
    t.not(await reader.end(), 0, 'whoever waited has an error')
    const log = readFileSync(join(folder, 'log'), 'utf8')
    t.match(log, /dirty/)
    server.process.signal('SIGCONT')
    const again = await bosmount(mountArguments({ server, mountpoint, args }))
    t.equal(again.code, 0, again.stderr)
    t.equal(readFileSync(join(mountpoint, 'file'), 'utf8'), 'content')
    const ended = await bosmount(['umount', mountpoint])
    t.equal(ended.code, 0, ended.stderr)
  },
)
