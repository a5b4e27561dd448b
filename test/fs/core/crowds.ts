/** When a page, or all of a listing, is the cheaper way to look for names in a crowded directory. */
import t from 'tap'
import { Crowds } from '../../../src/fs/core/crowds.js'

function crowds(): { readonly clock: { now: number }; readonly crowds: Crowds } {
  const clock = { now: 0 }
  return { clock, crowds: new Crowds({ ttl: 1000, now: () => clock.now }) }
}

void t.test('names that are asked for in their order are followed by a page', async t => {
  const { crowds: watched } = crowds()
  const swept = ['a', 'b', 'c', 'd', 'e'].map(name => watched.sweptTo('/d', name))
  t.same(swept, [undefined, undefined, undefined, 'c', 'd'])
  t.equal(watched.sweptTo('/d', 'a'), undefined, 'not after a step back')
  t.equal(watched.sweptTo('/e', 'f'), undefined, 'nor in another directory')
})

void t.test('new names in their order are not, for some time', async t => {
  const { crowds: watched } = crowds()
  watched.isMissing('/d', 'f000')
  const names = Array.from({ length: 70 }, (_, i) => `f${String(i + 1).padStart(3, '0')}`)
  const followed = names.filter(name => watched.sweptTo('/d', name) !== undefined)
  t.same(followed, names.slice(67))
})

void t.test('many names within the time-to-live are worth a listing of all', async t => {
  const { clock, crowds: watched } = crowds()
  const ask = () => watched.isBusy('/d', 2)
  t.same([ask(), ask(), ask(), ask(), ask()], [false, false, false, false, true])
  clock.now = 1000
  t.equal(ask(), false)
  for (let i = 0; i < 200; i += 1) t.notOk(watched.isBusy('/huge', 51))
})
