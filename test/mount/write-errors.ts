/**
 * Where a writer learns that its file could not be stored, and what becomes of the file: the error is that
 * of write, fsync or close of the file concerned, within the time that requests have; the bytes stay for an
 * fsync that is tried again; and the store has all of the old content or all of the new.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { open, readFile, writeFile } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { MiB } from '../../src/util/units.js'
import { seededBytes } from '../helpers/bos-harness.js'
import { MountedBucket, startServer, until } from '../helpers/bosmount.js'
import { openBucket } from '../helpers/bucket.js'
import { replaceFaults } from '../helpers/fault-file.js'
import { Background } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

// Each writer waits in threads of its own.
process.env['UV_THREADPOOL_SIZE'] = '32'

t.setTimeout(300_000)

/** What goes wrong with keys of this name, and the errno that it is. */
const TROUBLES = [
  ['quota', { fault: 'error', status: 403, code: 'CapacityExceeded' }, 'ENOSPC'],
  ['denied', { fault: 'error', status: 403, code: 'AccessDenied' }, 'EACCES'],
  ['throttled', { fault: 'error', status: 429, code: 'RequestRateLimitExceeded' }, 'EIO'],
  ['broken', { fault: 'reset' }, 'EIO'],
  ['hanging', { fault: 'hang' }, 'EIO'],
] as const

const SMALL = seededBytes(20_000)
/** Parts of 5 MiB leave while it is being written. */
const LARGE = seededBytes(14 * MiB)

interface Stage {
  readonly bucket: StorageDriver
  readonly root: string
  readonly mount: MountedBucket
  /** From now on nothing goes wrong. */
  readonly mend: () => Promise<void>
}

async function setStage(t: Test): Promise<Stage> {
  const folder = scratchFolder(t)
  const faults = join(folder, 'faults.json')
  const rules = TROUBLES.map(([name, fault]) => ({
    ...fault,
    operation: ['PutObject', 'UploadPart'],
    key: `${name}-*`,
  }))
  writeFileSync(faults, JSON.stringify(rules))
  const server = await startServer(t, folder, ['--faults', faults])
  const bucket = await openBucket(t, server)
  const root = join(folder, 'mount')
  const times = ['--request-timeout', '1s', '--total-timeout', '2s', '--max-retries', '1']
  const args = ['--chunksize', '5MB', ...times]
  const mount = await MountedBucket.mount(t, { server, mountpoint: root, args })
  const mend = (): Promise<void> => replaceFaults(server, faults, [])
  return { bucket, root, mount, mend }
}

/** @returns the errno of the first call that fails */
async function failureOf(...calls: readonly (() => Promise<unknown>)[]): Promise<string> {
  for (const call of calls) {
    try {
      await call()
    } catch (error) {
      return String((error as NodeJS.ErrnoException).code)
    }
  }
  return 'none'
}

/** Until the last try, which the release of the descriptor makes, a file is here what was written. */
async function dropped(mount: MountedBucket, path: string): Promise<void> {
  await mount.process.waitFor(new RegExp(`"path":"${path}".*last handle was closed`))
}

async function writeAll(file: FileHandle, data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; at += MiB) {
    await file.write(data, at, Math.min(MiB, data.length - at), at)
  }
}

void t.test('what keeps a file from being stored is the error of its writer', async t => {
  const { bucket, root, mount, mend } = await setStage(t)
  const synced: { name: string; file: FileHandle; data: Buffer }[] = []
  const play = async (name: string, errno: string): Promise<void> => {
    const small = await open(join(root, `${name}-fsync`), 'w+')
    await small.write(SMALL)
    t.equal(await failureOf(() => small.sync()), errno, `${name}: fsync`)
    t.equal(await failureOf(() => small.sync()), errno, `${name}: and again`)
    t.ok((await readFile(join(root, `${name}-fsync`))).equals(SMALL), `${name}: it can be read`)
    synced.push({ name: `${name}-fsync`, file: small, data: SMALL })

    const closed = await open(join(root, `${name}-close`), 'w')
    await closed.write(SMALL)
    t.equal(await failureOf(() => closed.close()), errno, `${name}: close`)
    await dropped(mount, `/${name}-close`)

    // A request gets time by its bytes: a part that hangs takes more than a minute.
    if (name === 'hanging') return
    const large = await open(join(root, `${name}-parts`), 'w+')
    const written = await failureOf(
      () => writeAll(large, LARGE),
      () => large.sync(),
    )
    t.equal(written, errno, `${name}: write or fsync of a large file`)
    synced.push({ name: `${name}-parts`, file: large, data: LARGE })
  }
  await Promise.all(TROUBLES.map(([name, , errno]) => play(name, errno)))
  await mend()
  for (const { name, file, data } of synced) {
    // Whoever was told of an error writes what may be missing once more.
    const again = (): Promise<string> => failureOf(() => writeAll(file, data))
    for (let i = 0; data === LARGE && i < 10 && (await again()) !== 'none'; i += 1) continue
    t.equal(await failureOf(() => file.sync()), 'none', `${name}: fsync when the trouble is over`)
    t.ok((await bucket.getContent(`/${name}`)).equals(data), `${name}: all of it is there`)
    await file.close()
  }
  for (const [name] of TROUBLES) {
    const path = `/${name}-close`
    await t.rejects(bucket.stat(path), { code: 'PATH_NOT_FOUND' }, `${path}: nothing of it`)
  }
})

void t.test('a file whose new content could not be stored keeps its old one', async t => {
  const { bucket, root, mount } = await setStage(t)
  const before = seededBytes(6 * MiB)
  for (const [name] of TROUBLES) {
    // The faults are about puts and parts: what is copied and put together from them gets through.
    await bucket.putContent('/seed', before)
    await bucket.copy('/seed', `/${name}-old`)
  }
  await Promise.all(
    TROUBLES.map(async ([name, , errno]) => {
      const path = join(root, `${name}-old`)
      const content = name === 'hanging' ? SMALL : LARGE
      t.equal(await failureOf(() => writeFile(path, content)), errno, `${name}: replaced`)
      t.ok((await bucket.getContent(`/${name}-old`)).equals(before), `${name}: as it was`)
      await dropped(mount, `/${name}-old`)
      t.ok((await readFile(path)).equals(before), `${name}: for whoever reads it here as well`)
    }),
  )
})

void t.test('a close goes on whatever signals come, but for those that end a program', async t => {
  const folder = scratchFolder(t)
  const faults = join(folder, 'faults.json')
  const slow = { fault: 'delay', delay: '2s', operation: 'PutObject', key: 'slow' }
  const hanging = { fault: 'hang', operation: 'PutObject', key: 'hanging' }
  writeFileSync(faults, JSON.stringify([slow, hanging]))
  const server = await startServer(t, folder, ['--faults', faults])
  const bucket = await openBucket(t, server)
  const root = join(folder, 'mount')
  await MountedBucket.mount(t, { server, mountpoint: root })
  const script = `
import os, signal, sys
signal.signal(signal.SIGALRM, lambda *_: None)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b'kept')
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
print('closes', flush=True)
os.close(fd)
print('closed', flush=True)
`
  const writer = new Background(t, 'python3', ['-c', script, join(root, 'slow')])
  t.equal(await writer.end(), 0, writer.output)
  t.equal(String(await bucket.getContent('/slow')), 'kept', 'it was stored before it was closed')

  const stuck = new Background(t, 'python3', ['-c', script, join(root, 'hanging')])
  // It has got a signal while it waits, and goes on waiting: from now on only what is fatal wakes it.
  const stat = (): string => readFileSync(`/proc/${stuck.pid}/stat`, 'latin1')
  await until(() => /\) D /.test(stat()), 'the close to wait', stuck)
  t.equal(await stuck.stop('SIGTERM'), 'SIGTERM', stuck.output)
  t.notMatch(stuck.output, /closed/)
})

void t.test('an fsync that is interrupted keeps the bytes for the next one', async t => {
  const { bucket, root, mend } = await setStage(t)
  const script = `
import os, signal, sys
class Interrupted(Exception): pass
def stop(*_): raise Interrupted()
signal.signal(signal.SIGALRM, stop)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b'kept')
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
  os.fsync(fd)
  print('stored')
except Interrupted:
  print('interrupted', flush=True)
signal.sigwait([signal.SIGUSR1])
os.fsync(fd)
os.close(fd)
print('done')
`
  const path = join(root, 'hanging-interrupted')
  const writer = new Background(t, 'python3', ['-c', script, path])
  await writer.waitFor(/interrupted/)
  await mend()
  writer.signal('SIGUSR1')
  t.equal(await writer.end(), 0, writer.output)
  t.match(writer.output, /interrupted\s+done/)
  t.equal(String(await bucket.getContent('/hanging-interrupted')), 'kept')
})
