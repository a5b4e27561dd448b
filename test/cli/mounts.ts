import { mkdirSync, realpathSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isMounted, listMounts, mountpointPath } from '../../src/cli/mounts.js'
import { scratchFolder } from '../helpers/scratch.js'

void t.test('what the kernel has mounted is known', async t => {
  const mounts = await listMounts()
  t.match(
    mounts.find(({ mountpoint }) => mountpoint === '/proc'),
    { type: 'proc' },
  )
  t.ok(await isMounted('/proc'))
  t.notOk(await isMounted('/proc/'), 'as the kernel writes it')
  t.notOk(await isMounted(scratchFolder(t)))
})

void t.test('a mount point is named as the kernel will name it', async t => {
  const folder = realpathSync(scratchFolder(t))
  mkdirSync(join(folder, 'real'))
  symlinkSync('real', join(folder, 'link'))
  t.equal(await mountpointPath(join(folder, 'link', 'mount')), join(folder, 'real', 'mount'))
  t.equal(await mountpointPath(`${folder}/real/../real/mount/`), join(folder, 'real', 'mount'))
  t.equal(
    await mountpointPath(join(folder, 'link')),
    join(folder, 'link'),
    'the last component is not touched: it may be a dead mount',
  )
  await t.rejects(mountpointPath('/nonexistent/mount'), { message: /\/nonexistent\/mount/ })
})
