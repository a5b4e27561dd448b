import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openDataDirectory } from '../../src/server/data-directory.js'
import { silentLogger } from '../../src/util/log.js'
import { scratchFolder } from '../helpers/scratch.js'

void t.test('a directory that others can enter keeps what is in it private', async t => {
  const path = join(scratchFolder(t), 'data')
  mkdirSync(path)
  chmodSync(path, 0o755)
  const open = () => openDataDirectory({ path, sync: false, now: Date.now, log: silentLogger })
  const mode = (name: string): number => statSync(join(path, name)).mode & 0o777
  await (await open()).close()
  t.equal(mode('index'), 0o700, 'small objects are in the index')
  t.equal(mode('data'), 0o700)
  t.equal(mode('format.json'), 0o600)
  chmodSync(join(path, 'index'), 0o755)
  await (await open()).close()
  t.equal(mode('index'), 0o700, 'also if an earlier version has made it')
  t.equal(statSync(path).mode & 0o777, 0o755, 'a directory of the user stays as it is')
})
