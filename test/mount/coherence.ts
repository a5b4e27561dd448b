/** Two mounts of one bucket: what the kernel of one caches is dropped when a change by the other is noticed. */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { bosmount, MountedBucket, startServer, until } from '../helpers/bosmount.js'
import { scratchFolder } from '../helpers/scratch.js'

t.setTimeout(300_000)

/** Longer than any test may wait. */
const BELIEVED = '10m'

interface Stage {
  readonly one: MountedBucket
  readonly two: MountedBucket
}

async function setStage(t: Test, args: readonly string[]): Promise<Stage> {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = (name: string): Promise<MountedBucket> => {
    const mountpoint = join(folder, name)
    mkdirSync(mountpoint)
    return MountedBucket.mount(t, { server, mountpoint, args })
  }
  const [one, two] = await Promise.all([mount('one'), mount('two')])
  return { one, two }
}

/** When all names are gone the kernel has forgotten all, and nothing is left of it here either. */
async function end(t: Test, { one, two }: Stage): Promise<void> {
  for (const entry of readdirSync(one.path)) rmSync(join(one.path, entry), { recursive: true })
  for (const mount of [one, two]) {
    // What the other mount has removed is forgotten when somebody looks for it: an open does not wait
    // until names are not believed any more.
    for (const name of ['f', 'x']) {
      const path = join(mount.path, name)
      const isGone = (): boolean => errnoOf(() => readFileSync(path)) !== 0 && !existsSync(path)
      await until(isGone, `${path} to go`)
    }
    let counts: { lookups?: number } = {}
    for (const deadline = Date.now() + 60_000; counts.lookups !== 0 && Date.now() < deadline;) {
      const { stdout } = await bosmount(['stats', '--json', '--count', '1', mount.path])
      counts = (JSON.parse(String(stdout)) as { counts: typeof counts }).counts
    }
    t.match(counts, { inodes: 1, lookups: 0, handles: 0, dirty: 0 })
    t.equal(await mount.unmount(), 0, mount.process.output)
  }
}

function errnoOf(work: () => unknown): number {
  try {
    work()
    return 0
  } catch (error) {
    return (error as NodeJS.ErrnoException).errno ?? 0
  }
}

void t.test('what is cached of a file goes when an open notices another version', async t => {
  const stage = await setStage(t, ['--metadata-ttl', BELIEVED])
  const [mine, theirs] = [join(stage.one.path, 'f'), join(stage.two.path, 'f')]
  writeFileSync(theirs, 'old content')
  t.equal(readFileSync(mine, 'utf8'), 'old content')
  t.equal(statSync(mine).size, 11)
  const held = openSync(mine, 'r')
  writeFileSync(theirs, 'new')
  // What was confirmed a moment ago counts as the same open.
  await sleep(50)
  t.equal(readFileSync(mine, 'utf8'), 'new', 'the pages are gone')
  t.equal(statSync(mine).size, 3, 'and the attributes')
  t.equal(
    errnoOf(() => readSync(held, Buffer.alloc(20), 0, 20, 0)),
    -116,
    'ESTALE',
  )
  t.ok(fstatSync(held).isFile(), 'fstat never fails')
  closeSync(held)
  await end(t, stage)
})

void t.test('a name goes when an open notices that it was removed', async t => {
  const stage = await setStage(t, ['--metadata-ttl', BELIEVED])
  const [mine, theirs] = [join(stage.one.path, 'f'), join(stage.two.path, 'f')]
  writeFileSync(theirs, 'content')
  t.equal(readFileSync(mine, 'utf8'), 'content')
  await sleep(50)
  rmSync(theirs)
  t.ok([-2, -116].includes(errnoOf(() => readFileSync(mine))), 'ENOENT or ESTALE')
  await until(() => !existsSync(mine), 'the name to go, before names are not believed any more')
  await end(t, stage)
})

void t.test('a file that has become a directory is one, and the reverse', async t => {
  const stage = await setStage(t, ['--metadata-ttl', '0'])
  const [mine, theirs] = [join(stage.one.path, 'x'), join(stage.two.path, 'x')]
  writeFileSync(theirs, 'content')
  t.ok(statSync(mine).isFile())
  rmSync(theirs)
  mkdirSync(theirs)
  writeFileSync(join(theirs, 'below'), 'below')
  t.ok(statSync(mine).isDirectory())
  t.equal(readFileSync(join(mine, 'below'), 'utf8'), 'below')
  rmSync(theirs, { recursive: true })
  writeFileSync(theirs, 'again')
  await sleep(50)
  t.equal(readFileSync(mine, 'utf8'), 'again')
  await end(t, stage)
})
