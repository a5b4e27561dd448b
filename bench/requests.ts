/**
 * What single operations cost: requests to BOS for each, counted in the server's access log, as rows of
 * a Markdown table.
 *
 * Each operation is done by ordinary programs on a mount that was made for it, with nothing cached; what
 * comes until the mount has ended counts too, less what an idle mount asks for from beginning to end.
 * `npm run bench:requests [-- MOUNT ARGUMENTS]`. Counts do not depend on the machine; no time is measured.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../src/util/units.js'
import { countOperations, accessesOf } from '../test/helpers/access-log.js'
import { MountedBucket, startServer } from '../test/helpers/bosmount.js'
import { seededBytes } from '../test/helpers/oci-image.js'
import { Cleanup } from '../test/helpers/owner.js'
import { runOk } from '../test/helpers/processes.js'
import { scratchFolder } from '../test/helpers/scratch.js'

const BIG = 64 * MiB

/** Each finds what the ones before it have left. */
const STEPS: readonly (readonly [title: string, command: string])[] = [
  ['create a small file', 'printf hello > small'],
  ['create a small file in a new directory', 'mkdir made && printf hello > made/small'],
  ['append to a small file', 'printf more >> small'],
  [
    'overwrite a block of a file of 64 MiB',
    'dd if=/dev/zero of=big bs=4096 seek=5000 count=1 conv=notrunc',
  ],
  ['append to a file of 64 MiB', 'printf more >> big'],
  ['read a small file', 'cat small'],
  ['rename a small file', 'mv small renamed'],
  ['rename a file of 64 MiB', 'mv big moved'],
  ['rename a tree of 1000 files', 'mv thousand tree-renamed'],
  ['`ls -l` of 1000 files', 'ls -l tree-renamed'],
  ['`find -type f` over 2000 files in 200 directories', 'find tree -type f'],
  ['`du -s` of the same', 'du -s tree'],
  ['`rm -rf` of the same', 'rm -rf tree'],
  ['stat of a missing name', 'stat missing || true'],
  ['stat of 100 missing names', 'for i in $(seq 100); do stat missing-$i || true; done'],
  ['remove a file', 'rm renamed'],
]

/** 1000 files in one directory, 2000 in 200 directories of three levels, and a big one. */
function makeInput(folder: string): void {
  const write = (directory: string, count: number): void => {
    mkdirSync(directory, { recursive: true })
    for (let i = 0; i < count; i += 1) writeFileSync(join(directory, `file-${i}`), 'x'.repeat(1024))
  }
  write(join(folder, 'thousand'), 1000)
  for (let i = 0; i < 8; i += 1) {
    const top = join(folder, 'tree', `a${i}`)
    write(top, 10)
    for (let j = 0; j < 4; j += 1) {
      write(join(top, `b${j}`), 10)
      for (let k = 0; k < 5; k += 1) write(join(top, `b${j}`, `c${k}`), 10)
    }
  }
  writeFileSync(join(folder, 'big'), seededBytes('requests', BIG))
}

async function measure(owner: Cleanup, args: readonly string[]): Promise<void> {
  const folder = scratchFolder(owner)
  const server = await startServer(owner, folder)
  const mountpoint = join(folder, 'mount')
  const input = join(folder, 'input')
  makeInput(input)

  /** Operations asked for by one mount in which a command is run. */
  const countsOf = async (command: string): Promise<ReadonlyMap<string, number>> => {
    const before = (await accessesOf(server)).length
    const mount = await MountedBucket.mount(owner, { server, mountpoint, args })
    await runOk('sh', ['-c', command], { cwd: mountpoint, timeout: 300_000 })
    const code = await mount.unmount()
    if (code !== 0) throw new Error(`after ${command} unmounting ended with ${code}`)
    return countOperations((await accessesOf(server)).slice(before))
  }

  await countsOf(`cp -r '${input}'/. .`)
  const idle = await countsOf(':')
  console.log('| operation | requests | of which |\n|---|---:|---|')
  for (const [title, command] of STEPS) {
    const counts = [...(await countsOf(command))]
      .map(([name, count]) => [name, count - (idle.get(name) ?? 0)] as const)
      .filter(([, count]) => count !== 0)
    const total = counts.reduce((sum, [, count]) => sum + count, 0)
    const named = counts.map(([name, count]) => `${name} ${count}`).join(', ')
    console.log(`| ${title} | ${total} | ${named} |`)
  }
}

const owner = new Cleanup()
try {
  await measure(owner, process.argv.slice(2))
} finally {
  await owner.finish()
}
