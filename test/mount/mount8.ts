/**
 * mount(8), fstab(5) and umount(8) with our file system. What only root can do is done when the tests run as
 * root; everybody else has `bosmount mount` and fusermount3, which lifecycle.ts tests.
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  ACCESS_KEY_ID,
  BUCKET,
  environment,
  PROGRAM,
  SECRET_ACCESS_KEY,
  startServer,
  until,
} from '../helpers/bosmount.js'
import { socketOf } from '../../src/cli/state.js'
import { bucketContents, openBucket } from '../helpers/bucket.js'
import { run, runOk } from '../helpers/processes.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

const OPTIONS =
  '_netdev,nofail,x-systemd.requires=network-online.target,noatime,nodev,nosuid,uid=65534,umask=027'

async function stage(t: Test) {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const programs = join(folder, 'bin')
  mkdirSync(mountpoint)
  mkdirSync(programs)
  // mount.fuse3(8) runs the program that the type names; it finds `bosmount` where an installation puts it,
  // for it gets no PATH. A type may name a program by its path as well.
  const program = join(programs, 'bosmount')
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`)
  chmodSync(program, 0o755)
  const credentials = join(folder, 'credentials')
  const text = `[Defaults]\nAk = ${ACCESS_KEY_ID}\nSk = ${SECRET_ACCESS_KEY}\n`
  writeFileSync(credentials, text, { mode: 0o600 })
  const env = environment({
    BCE_ACCESS_KEY_ID: undefined,
    BCE_SECRET_ACCESS_KEY: undefined,
  })
  const log = `log-file=${join(folder, 'log')}`
  const reach = `endpoint=${server.endpoint},region=bj,credentialsfile=${credentials},${log}`
  return {
    folder,
    server,
    mountpoint,
    env,
    type: `fuse.${program}`,
    options: `${OPTIONS},${reach}`,
  }
}

/** The serving process ends after umount(8) has returned; its record goes last. */
async function ended(mountpoint: string): Promise<void> {
  const record = socketOf(mountpoint).replace(/sock$/, 'json')
  const isServed = (): boolean => existsSync(record)
  await until(() => !isServed(), 'the serving process to end')
}

if (process.getuid?.() === 0) {
  void t.test(
    'mount -t fuse.bosmount mounts, and umount leaves everything in the bucket',
    async t => {
      const { server, mountpoint, env, type, options } = await stage(t)
      await (await openBucket(t, server)).putContent('/old', Buffer.from('x'))
      await runOk('mount', ['-t', type, BUCKET, mountpoint, '-o', options], { env })
      t.ok(isMounted(mountpoint))
      const file = join(mountpoint, 'file')
      writeFileSync(file, 'hello')
      mkdirSync(join(mountpoint, 'empty'))
      t.equal((await runOk('stat', ['-c', '%u %a', join(mountpoint, 'old')])).text, '65534 640\n')
      t.match(
        (await runOk('findmnt', ['-no', 'FSTYPE,OPTIONS', mountpoint])).text,
        /fuse\.bosmount +.*nosuid,nodev/,
      )
      await runOk('umount', [mountpoint])
      await ended(mountpoint)
      t.same(Object.keys(await bucketContents(t, server)).sort(), ['/empty/', '/file', '/old'])
    },
  )

  void t.test('a line of fstab mounts', async t => {
    const { folder, mountpoint, env, type, options } = await stage(t)
    const fstab = join(folder, 'fstab')
    writeFileSync(fstab, `${BUCKET}/team ${mountpoint} ${type} ro,${options} 0 0\n`)
    await runOk('mount', ['-T', fstab, mountpoint], { env })
    t.match(
      (await runOk('findmnt', ['-no', 'SOURCE,OPTIONS', mountpoint])).text,
      /bos:\/\/tests\/team +ro,/,
    )
    const refused = await run('touch', [join(mountpoint, 'x')])
    t.match(refused.stderr, /Read-only file system/)
    await runOk('umount', [mountpoint])
    await ended(mountpoint)
  })

  void t.test('a key in fstab is refused with the reason, and mount(8) fails', async t => {
    const { mountpoint, env, type, options } = await stage(t)
    const args = ['-t', type, BUCKET, mountpoint, '-o', `${options},sk=${SECRET_ACCESS_KEY}`]
    const refused = await run('mount', args, { env })
    t.not(refused.code, 0)
    t.match(refused.stderr, /sk: keys are not taken from the command line or fstab/)
    t.notOk(refused.stderr.includes(SECRET_ACCESS_KEY))
    t.notOk(isMounted(mountpoint))
  })
}

void t.test('fusermount3 -u leaves everything in the bucket', async t => {
  const { server, mountpoint, env, folder, options } = await stage(t)
  const runtime = { ...env, XDG_RUNTIME_DIR: folder }
  // Whoever mounts owns what is there.
  const own = options.replace('uid=65534,', '')
  const args = [PROGRAM, BUCKET, mountpoint, '-o', own]
  await runOk(process.execPath, args, { env: runtime })
  writeFileSync(join(mountpoint, 'file'), 'hello')
  mkdirSync(join(mountpoint, 'empty'))
  await runOk('fusermount3', ['-u', mountpoint])
  const contents = async () => Object.keys(await bucketContents(t, server)).sort()
  let found = await contents()
  for (const deadline = Date.now() + 60_000; found.length < 2 && Date.now() < deadline;) {
    found = await contents()
  }
  t.same(found, ['/empty/', '/file'])
})
