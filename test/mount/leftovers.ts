/** Files without a name and unfinished uploads of real mounts: used while held, gone afterwards. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { accessesOf } from '../helpers/access-log.js'
import { MountedBucket, startServer, type Server } from '../helpers/bosmount.js'
import { bucketContents, openBucket, unfinishedUploads } from '../helpers/bucket.js'
import { Background } from '../helpers/processes.js'
import { eventually } from '../helpers/mount-process.js'
import { scratchFolder } from '../helpers/scratch.js'

const MIB = 2 ** 20
const OLD = Buffer.alloc(3 * MIB, 'old content ')

interface Stage {
  readonly server: Server
  readonly folder: string
  readonly mount: (name: string) => Promise<MountedBucket>
}

async function setStage(t: Test): Promise<Stage> {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mount = (name: string): Promise<MountedBucket> => {
    const mountpoint = join(folder, name)
    mkdirSync(mountpoint, { recursive: true })
    return MountedBucket.mount(t, { server, mountpoint })
  }
  return { server, folder, mount }
}

/** Paths of unlinked files that the server was asked to make, and still has. */
async function homes(t: Test, { server }: Stage): Promise<string[]> {
  // What was answered is in the log by then.
  await accessesOf(server)
  const log = readFileSync(server.accessLog, 'utf8')
  const names = [...log.matchAll(/(\.bosmount\/unlinked\/[0-9a-f-]+)/g)].map(match => match[1])
  const driver = await openBucket(t, server)
  const found = []
  for (const name of new Set(names)) {
    const path = `/${name ?? ''}`
    const there = await driver.stat(path).then(
      () => true,
      () => false,
    )
    if (there) found.push(path)
  }
  return found
}

/** A program that holds files open whose names it has taken away, and says what it reads. */
const HOLDER = `
const { openSync, readSync, fstatSync, writeSync, unlinkSync, renameSync } = require('node:fs')
const unlinked = openSync('unlinked', 'r')
const replaced = openSync('replaced', 'r')
const big = openSync('big', 'w')
writeSync(big, Buffer.alloc(25 << 20, 'x'))
unlinkSync('unlinked')
renameSync('new', 'replaced')
const check = fd => {
  const content = Buffer.alloc(4 << 20)
  let length = 0
  for (let n = 1; n > 0; length += n) n = readSync(fd, content, length, content.length - length, length)
  return length + ' ' + content.subarray(0, 11) + ' ' + fstatSync(fd).size + ' ' + fstatSync(fd).nlink
}
console.log('unlinked ' + check(unlinked))
console.log('replaced ' + check(replaced))
console.log('ready')
setInterval(() => undefined, 60_000)
`

async function hold(t: Test, mount: MountedBucket): Promise<Background> {
  writeFileSync(join(mount.path, 'unlinked'), OLD)
  writeFileSync(join(mount.path, 'replaced'), OLD)
  writeFileSync(join(mount.path, 'new'), 'new')
  const holder = new Background(t, process.execPath, ['-e', HOLDER], { cwd: mount.path })
  await holder.waitFor(/ready/)
  t.match(holder.output, /unlinked 3145728 old content 3145728 0/)
  t.match(holder.output, /replaced 3145728 old content 3145728 0/)
  return holder
}

void t.test('files without a name live until they are closed, and leave nothing', async t => {
  const stage = await setStage(t)
  const mount = await stage.mount('mount')
  const holder = await hold(t, mount)
  t.same(readdirSync(mount.path), ['big', 'replaced'])
  t.equal(readFileSync(join(mount.path, 'replaced'), 'utf8'), 'new')
  t.equal((await homes(t, stage)).length, 2)
  await holder.kill()
  t.equal(await mount.unmount(), 0, mount.process.output)
  t.same(await homes(t, stage), [])
  t.same(await unfinishedUploads(t, stage.server), [])
})

void t.test(
  'what a killed mount leaves is removed by the next one, not what a living one has',
  async t => {
    const stage = await setStage(t)
    const first = await stage.mount('first')
    const holder = await hold(t, first)
    const before = await homes(t, stage)
    t.equal(before.length, 2)
    // Parts leave while the file is being written; nobody has waited for them.
    await eventually('an upload is under way', async () => {
      return (await unfinishedUploads(t, stage.server)).length > 0
    })
    const second = await stage.mount('second')
    t.same(await homes(t, stage), before, 'the first mount lives')
    t.same(await unfinishedUploads(t, stage.server), ['/big'])
    await first.kill()
    await holder.kill()
    t.same(await homes(t, stage), before, 'nobody has looked yet')
    const third = await stage.mount('first')
    t.same(await homes(t, stage), [])
    t.same(await unfinishedUploads(t, stage.server), [])
    t.equal(await second.unmount(), 0)
    t.equal(await third.unmount(), 0)
    const contents = Object.keys(await bucketContents(t, stage.server))
    t.same(contents.toSorted(), ['/replaced'])
    t.same(readdirSync(join(stage.folder, 'state', 'bosmount', 'ledgers')), [])
  },
)
