/** `npm start`: a newcomer's first minute. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { environment } from '../helpers/bosmount.js'
import { Background } from '../helpers/processes.js'
import { projectPath } from '../helpers/project.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

function start(t: Test, folder: string): Background {
  const args = [projectPath('scripts/start.mjs'), join(folder, 'mnt'), join(folder, 'data')]
  return new Background(t, process.execPath, args, { env: environment(), cwd: folder })
}

void t.test('npm start mounts, and Ctrl-C leaves only the data', async t => {
  const folder = scratchFolder(t)
  const mountpoint = join(folder, 'mnt')
  const file = join(mountpoint, 'greeting')
  const first = start(t, folder)
  await first.waitFor(/To unmount/)
  t.ok(isMounted(mountpoint))
  writeFileSync(file, 'hello')
  const rival = start(t, folder)
  t.not(await rival.end(), 0, 'a second one is refused')
  t.match(rival.output, /mounted already/)
  t.ok(isMounted(mountpoint), 'and does not disturb the first')
  first.signal('SIGINT')
  first.signal('SIGINT')
  t.equal(await first.end(), 0, first.output)
  t.notOk(existsSync(mountpoint), 'nothing is left but the data')
  const second = start(t, folder)
  await second.waitFor(/To unmount/)
  t.equal(readFileSync(file, 'utf8'), 'hello', 'which is there again at the next start')
  t.equal(await second.stop('SIGTERM'), 0, second.output)
})

void t.test('npm start refuses a mount point that is in use', async t => {
  const folder = scratchFolder(t)
  mkdirSync(join(folder, 'mnt'))
  writeFileSync(join(folder, 'mnt', 'mine'), 'kept')
  const refused = start(t, folder)
  t.not(await refused.end(), 0)
  t.match(refused.output, /not an empty folder/)
  t.equal(readFileSync(join(folder, 'mnt', 'mine'), 'utf8'), 'kept')
})
