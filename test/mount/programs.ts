/**
 * Everyday programs do on the mount what they do on the host's own file system, and what they leave
 * is still there for the next mount.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { seededBytes } from '../helpers/oci-image.js'
import { run } from '../helpers/processes.js'
import { INPUT_SIZE, STEPS, type Step } from '../helpers/programs.js'
import { scratchFolder } from '../helpers/scratch.js'
import { contentsOf, fingerprint, outlineOf } from '../helpers/tree.js'

interface Place {
  readonly path: string
  readonly input: string
}

/** Runs a step's script in a place, and tells what it said in words that fit any place. */
async function perform({ script }: Step, { path, input }: Place): Promise<object> {
  const { code, text, stderr } = await run('bash', ['-c', `umask 022\n${script}`], {
    cwd: path,
    env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', INPUT: input, HOME: path },
    timeout: 240_000,
  })
  const said = stderr.replaceAll(path, '.').replace(/^bash: line \d+: /gm, 'bash: ')
  return { code, stdout: text.split('\n'), stderr: said.split('\n') }
}

void t.test('every program does on the mount what it does on a local folder', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const input = join(folder, 'input')
  writeFileSync(input, seededBytes('programs', INPUT_SIZE))
  const local = { path: join(folder, 'local'), input }
  mkdirSync(local.path)
  const mounted = { path: mountpoint, input }
  for (const step of STEPS) {
    await t.test(step.title, t => compare(t, step, local, mounted))
  }
  t.same(contentsOf(mountpoint), contentsOf(local.path), 'all content is the same')
  t.equal(await mount.unmount(), 0)
  const again = await MountedBucket.mount(t, { server, mountpoint })
  t.same(contentsOf(mountpoint), contentsOf(local.path), 'the next mount shows the same')
  t.equal(await again.unmount(), 0)
})

async function compare(t: Test, step: Step, local: Place, mounted: Place): Promise<void> {
  t.same(await perform(step, mounted), await perform(step, local), 'says the same')
  t.same(outlineOf(mounted.path), outlineOf(local.path), 'leaves the same')
}

void t.test('what a bucket cannot hold is refused, and nothing is left of the attempt', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = await MountedBucket.mount(t, { server, mountpoint: join(folder, 'mount') })
  writeFileSync(join(mount.path, 'file'), 'content')
  for (const command of ['ln file link', 'mkfifo link', 'mknod link b 8 1']) {
    const { code, stderr } = await run('bash', ['-c', command], { cwd: mount.path })
    t.not(code, 0, command)
    t.match(stderr, 'Operation not permitted')
  }
  t.same(contentsOf(mount.path), { '/file': fingerprint(Buffer.from('content')) })
  t.equal(await mount.unmount(), 0)
})

void t.test('a removed file that is open for reading gives its own bytes or ESTALE', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = await MountedBucket.mount(t, { server, mountpoint: join(folder, 'mount') })
  writeFileSync(join(mount.path, 'file'), 'content')
  const script = 'exec 3< file; rm file; echo other > file; cat <&3'
  const { text, stderr } = await run('bash', ['-c', script], { cwd: mount.path })
  if (text === '') t.match(stderr, 'Stale file handle')
  else t.equal(text, 'content')
  t.equal(await mount.unmount(), 0)
})
