/** The line that tells how far long work is. */
import t from 'tap'
import { Progress } from '../../src/cli/progress.js'
import { MiB } from '../../src/util/units.js'

function scene(options: { isTTY: boolean; total?: number; columns?: number }) {
  let now = 0
  const written: string[] = []
  const { total, ...terminal } = options
  const progress = new Progress({
    title: 'put',
    stream: { ...terminal, write: text => written.push(text) },
    clock: { now: () => now, sleep: () => Promise.resolve() },
    ...(total === undefined ? {} : { total }),
  })
  return { progress, written, pass: (time: number) => (now += time) }
}

void t.test('what is over soon shows nothing', t => {
  const { progress, written, pass } = scene({ isTTY: true })
  progress.add(MiB)
  pass(400)
  progress.add(MiB)
  progress.end()
  t.same(written, [])
  t.end()
})

void t.test('a terminal sees share, amount, speed and the time that is left', t => {
  const { progress, written, pass } = scene({ isTTY: true, total: 100 * MiB, columns: 120 })
  pass(1000)
  progress.add(25 * MiB)
  t.same(written, [
    '\rput  [#####...............]  25 %  25 MiB of 100 MiB  25 MiB/s  3 s left\u001b[K',
  ])
  progress.add(MiB)
  t.equal(written.length, 1, 'not drawn for every byte')
  progress.end()
  t.equal(written.at(-1), '\r\u001b[K', 'the line goes away')
  t.end()
})

void t.test('without a total there is no share; a narrow terminal gets a short line', t => {
  const { progress, written, pass } = scene({ isTTY: true, columns: 20 })
  pass(2000)
  progress.add(10 * MiB)
  t.same(written, ['\rput  10 MiB  5 MiB/\u001b[K'])
  t.end()
})

void t.test('nothing is written to what is no terminal', t => {
  const { progress, written, pass } = scene({ isTTY: false, total: MiB })
  pass(1000)
  progress.add(MiB)
  progress.end()
  t.same(written, [])
  t.same([progress.bytes, progress.count], [MiB, 0])
  t.end()
})
