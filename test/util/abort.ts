import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { abortable, listenForAbort } from '../../src/util/abort.js'

void t.test('the outcome of the work is passed on', async t => {
  const { signal } = new AbortController()
  t.equal(await abortable(Promise.resolve(1), signal), 1)
  await t.rejects(abortable(Promise.reject(new Error('broken')), signal), { message: 'broken' })
  t.same(getEventListeners(signal, 'abort'), [], 'nothing is left listening')
})

void t.test('without a signal it is the work itself', t => {
  const work = Promise.resolve(1)
  t.equal(abortable(work, undefined), work)
  t.end()
})

void t.test('an abort ends the waiting, not the work', async t => {
  const controller = new AbortController()
  let finish: (value: string) => void = () => undefined
  const work = new Promise<string>(resolve => (finish = resolve))
  const waiting = abortable(work, controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  finish('done all the same')
  t.equal(await work, 'done all the same')
  t.same(getEventListeners(controller.signal, 'abort'), [])
})

void t.test('work that is abandoned may fail without anybody noticing', async t => {
  const unhandled: unknown[] = []
  const note = (reason: unknown): void => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  const controller = new AbortController()
  let fail: (error: Error) => void = () => undefined
  const early = new Promise<never>((_, reject) => (fail = reject))
  const waiting = abortable(early, controller.signal)
  controller.abort(new Error('enough'))
  await t.rejects(waiting, { message: 'enough' })
  fail(new Error('later'))
  // A signal that was aborted before.
  await t.rejects(abortable(Promise.reject(new Error('at once')), controller.signal), {
    message: 'enough',
  })
  await turn()
  await turn()
  process.off('unhandledRejection', note)
  t.same(unhandled, [])
})

void t.test('any number of waits may hang on one signal without a warning of Node', async t => {
  const controller = new AbortController()
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  let calls = 0
  for (let i = 0; i < 50; i += 1) listenForAbort(controller.signal, () => (calls += 1))
  await turn()
  process.off('warning', note)
  t.same(warnings, [])
  controller.abort()
  t.equal(calls, 50)
  listenForAbort(undefined, () => t.fail('there is nothing to listen to'))
})
