/**
 * Trees that are taken into a mount with stored attributes and out of it again by tar, rsync and cp are
 * the same trees, and whoever asks a second time has nothing to do, before and after a remount.
 */
import { chmodSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MiB } from '../../src/util/units.js'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { seededBytes } from '../helpers/oci-image.js'
import { runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

/** With a fraction that whole milliseconds could not tell. */
const TIME = 1_234_567_890.123_456
const LIMIT = { timeout: 290_000 }
t.setTimeout(300_000)

/** Files of all sizes and modes, links that lead somewhere and nowhere, a pipe, empty directories. */
async function makeTree(root: string): Promise<void> {
  mkdirSync(join(root, 'below', 'deep', 'deeper'), { recursive: true })
  mkdirSync(join(root, 'empty'))
  const files: readonly (readonly [name: string, size: number, mode: number])[] = [
    ['empty file', 0, 0o644],
    ['script', 100, 0o755],
    ['secret', 5000, 0o600],
    ['below/read-only', 70_000, 0o444],
    ['below/of two parts', 11 * MiB, 0o640],
    ['below/deep/ünïcode %25?#', 10, 0o644],
    ['below/deep/deeper/setuid', 10, 0o4711],
  ]
  for (const [name, size, mode] of files) {
    writeFileSync(join(root, name), seededBytes(name, size))
    chmodSync(join(root, name), mode)
    utimesSync(join(root, name), TIME, TIME + mode)
  }
  symlinkSync('../script', join(root, 'below', 'link'))
  symlinkSync('/no/such thing', join(root, 'dangling'))
  symlinkSync('below', join(root, 'to a directory'))
  for (const name of ['below/link', 'dangling']) lutimesSync(join(root, name), TIME, TIME)
  await runOk('mkfifo', ['-m', '620', join(root, 'below', 'pipe')])
  chmodSync(join(root, 'below', 'deep'), 0o2751)
  chmodSync(join(root, 'empty'), 0o1700)
  for (const name of ['below/deep/deeper', 'below/deep', 'below', 'empty', '.']) {
    utimesSync(join(root, name), TIME, TIME)
  }
}

/** What rsync would have to do to make one tree of the other; contents are compared too. */
async function differencesOf(one: string, other: string): Promise<string> {
  const { text } = await runOk('rsync', ['-ainc', '--delete', `${one}/`, other])
  return text
}

const INTO: Readonly<Record<string, (source: string, target: string) => Promise<unknown>>> = {
  tar: async (source, target) => {
    mkdirSync(target)
    const script = 'tar -C "$1" -cf - . | tar -C "$2" -xpf -'
    return runOk('bash', ['-o', 'pipefail', '-c', script, 'tar', source, target])
  },
  'rsync -a': (source, target) => runOk('rsync', ['-a', `${source}/`, target]),
  'cp -a': (source, target) => runOk('cp', ['-a', source, target]),
}

for (const [program, copy] of Object.entries(INTO)) {
  await t.test(`${program} brings a tree in and out again`, LIMIT, async t => {
    const folder = scratchFolder(t)
    const source = join(folder, 'source')
    await makeTree(source)
    const server = await startServer(t, folder)
    const mountpoint = join(folder, 'mount')
    const mount = (): Promise<MountedBucket> =>
      MountedBucket.mount(t, { server, mountpoint, args: ['-o', 'attributes=stored'] })
    const first = await mount()
    const inside = join(mountpoint, 'tree')
    await copy(source, inside)
    t.equal(await differencesOf(source, inside), '', 'the same as the source')
    await nothingToDo(t, source, inside)
    t.equal(await first.unmount(), 0, first.process.output)

    const second = await mount()
    await nothingToDo(t, source, inside)
    t.equal(await differencesOf(source, inside), '', 'the same after a remount')
    const back = join(folder, 'back')
    await copy(inside, back)
    t.equal(await differencesOf(source, back), '', 'the same when it is taken out')
    await nothingToDo(t, inside, back)
    t.equal(await second.unmount(), 0, second.process.output)
  })
}

/** A second `rsync -a`, which may change something, and does not. */
async function nothingToDo(t: Test, source: string, target: string): Promise<void> {
  const { text } = await runOk('rsync', ['-ai', `${source}/`, target])
  t.equal(text, '', 'rsync transfers nothing, and sets nothing')
}
