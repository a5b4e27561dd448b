import { join } from 'node:path'
import t from 'tap'
import { LmdbIndex } from '../../src/server/lmdb-index.js'
import { temporaryDirectory } from '../helpers/bos-harness.js'

void t.test('the index has one owner and remembers how the last one left it', async t => {
  const index = new LmdbIndex(join(temporaryDirectory(t), 'index'))
  t.teardown(async () => await index.close())
  const owner = { pid: 1, started: 'x', boot: 'y' }
  const claim = (alive: boolean) => index.claim(owner, () => alive)
  t.strictSame(claim(true), { clean: true })
  t.match(claim(true), { blockedBy: owner })
  t.strictSame(claim(false), { clean: false }, 'taken over from a dead owner')
  await index.release(true)
  t.strictSame(claim(true), { clean: true })
  await index.release(false)
  t.strictSame(claim(true), { clean: false }, 'files were left behind')
  await index.release(true)
  t.strictSame(claim(true), { clean: true })
})

void t.test('changes of one turn fail one by one', async t => {
  const index = new LmdbIndex(join(temporaryDirectory(t), 'index'))
  t.teardown(async () => await index.close())
  const key = Buffer.from('a')
  const results = await Promise.allSettled([
    index.change(() => void index.counts.put(key, 1)),
    index.change(() => {
      throw new Error('refused')
    }),
    index.change(() => index.counts.get(key)),
  ])
  t.match(results, [{ status: 'fulfilled' }, { reason: { message: 'refused' } }, { value: 1 }])
  await index.flush()
  t.equal(index.counts.get(key), 1)
})
