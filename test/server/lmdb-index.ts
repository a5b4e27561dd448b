import { join } from 'node:path'
import t from 'tap'
import { LmdbIndex } from '../../src/server/lmdb-index.js'
import { temporaryDirectory } from './harness.js'

void t.test(
  'the index has one owner at a time, and remembers one that did not release it',
  async t => {
    const index = new LmdbIndex(join(temporaryDirectory(t), 'index'))
    t.teardown(async () => await index.close())
    const owner = { pid: 1, started: 'x', boot: 'y' }
    const claim = (alive: boolean) => index.claim(owner, () => alive)
    t.strictSame(claim(true), { clean: true })
    t.match(claim(true), { blockedBy: owner })
    t.strictSame(claim(false), { clean: false })
    await index.release()
    t.strictSame(claim(true), { clean: true })
  },
)

void t.test('changes of one turn fail one by one', async t => {
  const index = new LmdbIndex(join(temporaryDirectory(t), 'index'))
  t.teardown(async () => await index.close())
  const key = (text: string) => Buffer.from(text)
  const results = await Promise.allSettled([
    index.change(() => void index.counts.put(key('a'), 1)),
    index.change(() => {
      throw new Error('refused')
    }),
    index.change(() => index.counts.get(key('a'))),
  ])
  t.match(results, [{ status: 'fulfilled' }, { reason: { message: 'refused' } }, { value: 1 }])
  await index.flush()
  t.equal(index.counts.get(key('a')), 1)
})
