import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { livenessOf, ownIdentity, startOf } from '../../src/util/process-identity.js'

void t.test('a process that runs is alive, one of another start is not', async t => {
  const self = await ownIdentity()
  t.match(self.started, /^\d+$/)
  t.equal(await livenessOf(self, self), 'alive')
  t.equal(await livenessOf({ ...self, started: '1' }, self), 'dead')
  t.equal(await livenessOf({ ...self, boot: 'before' }, self), 'dead')
})

void t.test('what cannot be seen from here is unknown', async t => {
  const self = await ownIdentity()
  t.equal(await livenessOf({ ...self, host: 'another' }, self), 'unknown')
  t.equal(await livenessOf({ ...self, namespace: 'pid:[1]' }, self), 'unknown')
})

void t.test(
  'a process that has ended is dead, though nobody has asked for its exit code',
  async t => {
    // The shell starts one and turns into a program that never waits for it.
    const child = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    t.teardown(() => child.kill('SIGKILL'))
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const pid = Number(line)
    t.match(await startOf(pid), /^\d+$/)
    process.kill(pid, 'SIGKILL')
    while ((await startOf(pid)) !== undefined) await sleep(10)
    t.doesNotThrow(() => process.kill(pid, 0), 'its number is still taken')
  },
)
