import { inspect } from 'node:util'
import t from 'tap'
import { credentialsFromCommand } from '../../../src/driver/credentials/from-command.js'
import { silentLogger } from '../../../src/util/log.js'
import { startDriverHarness } from '../bos/harness.js'
import { FakeClock } from '../fake-clock.js'
import { bytes, failure } from '../helpers.js'

const HOUR = 3_600_000

/** A command that gives numbered credentials of one hour, or fails. */
function source() {
  const clock = new FakeClock()
  const state = { runs: 0, fails: false, life: HOUR }
  const provider = credentialsFromCommand({
    command: 'unused',
    clock,
    run: async () => {
      state.runs++
      if (state.fails) throw new Error('it ended with 3')
      return JSON.stringify({
        accessKeyId: `id-${state.runs}`,
        secretAccessKey: 'hidden',
        sessionToken: 'hidden-token',
        expiration: new Date(clock.now() + state.life).toISOString(),
      })
    },
  })
  const id = async (): Promise<string> => (await provider()).accessKeyId
  return { clock, state, provider, id }
}

void t.test('the command runs once for many requests', async t => {
  const { state, id } = source()
  t.same(await Promise.all([id(), id(), id()]), ['id-1', 'id-1', 'id-1'])
  await id()
  t.equal(state.runs, 1)
})

void t.test('the command runs where the process was when it was named', async t => {
  const before = process.cwd()
  t.teardown(() => process.chdir(before))
  process.chdir(t.testdir({ 'keys.json': '{"accessKeyId":"id","secretAccessKey":"hidden"}' }))
  const provider = credentialsFromCommand({ command: 'cat keys.json' })
  process.chdir('/')
  t.equal((await provider()).accessKeyId, 'id')
})

void t.test('credentials are refreshed in the background before they expire', async t => {
  const { clock, state, id } = source()
  await id()
  clock.pass(HOUR - 5 * 60_000 - 1000)
  await id()
  t.equal(state.runs, 1, 'not before it is time')
  clock.pass(2000)
  t.equal(await id(), 'id-1', 'nobody waits while they hold')
  await new Promise(setImmediate)
  t.equal(await id(), 'id-2')
})

void t.test('credentials of a short life are refreshed in its last quarter', async t => {
  const { clock, state, id } = source()
  state.life = 60_000
  await id()
  clock.pass(44_000)
  await id()
  t.equal(state.runs, 1)
  clock.pass(1500)
  await id()
  t.equal(state.runs, 2)
})

void t.test('expired credentials are waited for', async t => {
  const { clock, state, id } = source()
  await id()
  clock.pass(2 * HOUR)
  t.equal(await id(), 'id-2')
  t.equal(state.runs, 2)
})

void t.test('a refusal asks once for others, and storms of them do not', async t => {
  const { clock, state, provider } = source()
  const first = await provider()
  t.equal(await provider(first), first, 'a fresh answer is not asked for again at once')
  clock.pass(11_000)
  const [second, third] = await Promise.all([provider(first), provider(first)])
  t.equal(second?.accessKeyId, 'id-2')
  t.equal(third, second)
  t.equal((await provider(first)).accessKeyId, 'id-2', 'who was late gets what there is')
  t.equal(state.runs, 2)
})

void t.test('a failing command does not end what holds', async t => {
  const { clock, state, id } = source()
  await id()
  state.fails = true
  clock.pass(HOUR - 60_000)
  t.equal(await id(), 'id-1')
  await new Promise(setImmediate)
  t.equal(await id(), 'id-1')
  t.equal(state.runs, 2, 'and is not run again at once')
  clock.pass(61_000)
  t.match(await failure(id()), {
    code: 'ACCESS_DENIED',
    message: /credentials command failed: it ended with 3/,
  })
  state.fails = false
  clock.pass(11_000)
  t.match(await id(), /^id-/)
})

const OUTPUTS: readonly (readonly [command: string, problem: RegExp])[] = [
  ['echo hidden', /output is not JSON/],
  ['echo "[\\"hidden\\"]"', /not a JSON object/],
  ['echo "{\\"accessKeyId\\":\\"x\\"}"', /no secretAccessKey/],
  ['echo "{\\"secretAccessKey\\":\\"hidden\\"}"', /no usable accessKeyId/],
  [
    `echo '{"accessKeyId":"x","secretAccessKey":"hidden","expiration":"hidden"}'`,
    /expiration in the JSON is no time/,
  ],
  ['echo hidden; echo hidden >&2; exit 3', /it ended with 3/],
  ['kill -TERM $$', /it ended with SIGTERM/],
  ['yes hidden | head -c 100000', /more than 65536 bytes/],
]

void t.test('what a command does wrong is told without what it printed', async t => {
  for (const [command, problem] of OUTPUTS) {
    const logged: unknown[] = []
    const note = (...entry: unknown[]): void => void logged.push(entry)
    const log = { ...silentLogger, info: note, warn: note }
    const provider = credentialsFromCommand({ command, log })
    const error = await failure(Promise.resolve(provider()))
    t.match(error, { code: 'ACCESS_DENIED', message: problem }, command)
    t.notMatch(inspect([error, logged], { depth: 9, showHidden: true }), /hidden/)
  }
})

void t.test('a command that hangs is ended with all that it started', async t => {
  const provider = credentialsFromCommand({ command: 'sleep 60 | cat', timeout: 100 })
  t.match(await failure(Promise.resolve(provider())), { message: /took more than 100 ms/ })
})

void t.test('a driver signs with what the command prints', async t => {
  const harness = await startDriverHarness(t)
  const printed = '{"accesskeyid":"driver-key","accesskeysecret":"driver-secret"}'
  const driver = await harness.driver({
    accesskeyid: undefined,
    accesskeysecret: undefined,
    credentialscommand: `printf '%s' '${printed}'`,
  })
  await driver.putContent('/x', bytes(10))
  t.same(await driver.getContent('/x'), bytes(10))
})
