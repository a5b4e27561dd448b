/**
 * How many requests it costs to look at a bucket: listings, walks and misses by ordinary programs through
 * fresh mounts with default options, counted in the server's access log. No time is measured. The
 * numbers in brackets are the budget.
 *
 *     npm run bench:browse [-- --big]     --big also walks 100,000 objects in 5,000 directories
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MountedBucket, startServer, type Server } from '../test/helpers/bosmount.js'
import { countOperations, accessesOf } from '../test/helpers/access-log.js'
import { openBucket } from '../test/helpers/bucket.js'
import { Cleanup } from '../test/helpers/owner.js'
import { scratchFolder } from '../test/helpers/scratch.js'
import type { StorageDriver } from '../src/driver/driver.js'
import { forEachParallel } from '../src/util/semaphore.js'

interface Work {
  readonly title: string
  readonly budget: number
  /** A shell command; it runs in the mounted folder. */
  readonly command: string
  /** What the command prints, to be sure that nothing was left out. */
  readonly prints: string
}

interface Tree {
  readonly name: string
  readonly directories: number
  /** Files in each. */
  readonly each: number
}

const TREES: readonly Tree[] = [
  { name: 'flat', directories: 1, each: 1000 },
  { name: 'wide', directories: 1, each: 10_000 },
  { name: 'tree', directories: 200, each: 10 },
]
const BIG: Tree = { name: 'big', directories: 5000, each: 20 }

const WORKS: readonly Work[] = [
  {
    title: 'ls -l of 1,000 objects',
    budget: 3,
    command: 'ls -l flat/d0000 | grep -c f',
    prints: '1000',
  },
  {
    title: 'ls -l of 10,000 objects',
    budget: 12,
    command: 'ls -l wide/d0000 | grep -c f',
    prints: '10000',
  },
  {
    title: 'find over 2,000 objects in 200 directories',
    budget: 6,
    command: 'find tree -type f | wc -l',
    prints: '2000',
  },
  {
    title: 'du -s over the same',
    budget: 6,
    command: 'du -s --apparent-size --block-size=1 tree >/dev/null && echo done',
    prints: 'done',
  },
  {
    title: 'stat of 100 missing names in one directory',
    budget: 3,
    command: 'for i in $(seq 100); do [ -e flat/d0000/missing-$i ] && echo found; done; echo done',
    prints: 'done',
  },
  {
    title: 'ls -lR of 2,000 objects in 200 directories',
    budget: 6,
    command: 'ls -lR tree | grep -c " f"',
    prints: '2000',
  },
]

const BIG_WORK: Work = {
  title: 'find over 100,000 objects in 5,000 directories',
  budget: 120,
  command: 'find big -type f | wc -l',
  prints: '100000',
}

const shell = promisify(execFile)

/** `name/dNNNN/fNNNNN`, of one byte each. */
async function fill(bucket: StorageDriver, { name, directories, each }: Tree): Promise<void> {
  const paths: string[] = []
  for (let i = 0; i < directories * each; i += 1) {
    const directory = String(Math.floor(i / each)).padStart(4, '0')
    paths.push(`/${name}/d${directory}/f${String(i % each).padStart(5, '0')}`)
  }
  const put = async (path: string): Promise<void> => {
    await bucket.putContent(path, Buffer.from('x'))
  }
  await forEachParallel(paths, put, { limit: 16 })
}

async function measure(owner: Cleanup, server: Server, folder: string, work: Work): Promise<void> {
  const { title, budget, command, prints } = work
  const mount = await MountedBucket.mount(owner, { server, mountpoint: join(folder, 'mount') })
  const before = (await accessesOf(server)).length
  const { stdout } = await shell('sh', ['-c', command], { cwd: mount.path })
  const accesses = (await accessesOf(server)).slice(before)
  await mount.unmount()
  if (stdout.trim() !== prints) throw new Error(`${title}: ${stdout} instead of ${prints}`)
  const operations = [...countOperations(accesses)].map(([name, count]) => `${name} ${count}`)
  console.log(`${title}: ${accesses.length} (${budget})  ${operations.join(', ')}`)
}

const owner = new Cleanup()
try {
  const isBig = process.argv.includes('--big')
  const folder = scratchFolder(owner)
  const server = await startServer(owner, folder)
  const bucket = await openBucket(owner, server)
  for (const tree of [...TREES, ...(isBig ? [BIG] : [])]) await fill(bucket, tree)
  for (const work of [...WORKS, ...(isBig ? [BIG_WORK] : [])]) {
    await measure(owner, server, folder, work)
  }
} finally {
  await owner.finish()
}
