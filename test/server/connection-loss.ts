import t from 'tap'
import { ConnectionLoss } from '../../src/server/connection-loss.js'
import { ConnectionLost } from '../../src/server/errors.js'

void t.test('who waits is told when the connection goes, and who comes later at once', async t => {
  const loss = new ConnectionLoss()
  const { signal } = loss
  const waiting = loss.unlessLost(() => undefined)
  const done = loss.unlessLost(finish => finish())
  loss.declare()
  loss.declare()
  await t.rejects(waiting, ConnectionLost)
  await t.resolves(done)
  t.ok(signal.aborted)
  await t.rejects(
    loss.unlessLost(() => t.fail('nothing is begun')),
    ConnectionLost,
  )
})

void t.test('a signal that is asked for after the loss is aborted', t => {
  const loss = new ConnectionLoss()
  t.notOk(loss.isLost)
  loss.declare()
  t.ok(loss.isLost)
  t.ok(loss.signal.aborted)
  t.end()
})
