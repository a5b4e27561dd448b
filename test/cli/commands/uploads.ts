/** Uploads that nobody has finished. */
import t from 'tap'
import { BUCKET, environment, startServer } from '../../helpers/bosmount.js'
import { openBucket, unfinishedUploads } from '../../helpers/bucket.js'
import { CliSession } from '../../helpers/cli-session.js'
import { scratchFolder } from '../../helpers/scratch.js'

void t.test('they are listed, and aborted only on demand and by age', async t => {
  const server = await startServer(t, scratchFolder(t))
  const env = environment({ BOS_ENDPOINT: server.endpoint, REGISTRY_STORAGE_BOS_REGION: 'bj' })
  const session = new CliSession(t, env)
  const driver = await openBucket(t, server)
  for (const path of ['/a/one', '/a/two', '/b/three']) await driver.compose(path)
  const run = async (...args: string[]) => {
    const finished = await session.run(['uploads', ...args])
    t.equal(finished.code, 0, finished.stderr)
    return finished.text
  }
  const rows = (await run(BUCKET, '--json')).trimEnd().split('\n')
  t.same(rows.map(row => (JSON.parse(row) as { path: string }).path).sort(), [
    '/a/one',
    '/a/two',
    '/b/three',
  ])
  t.match(await run(`${BUCKET}/b`), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}tests\/b\/three {2}\S+\n$/)
  t.equal(await run(BUCKET, '--older-than', '1h'), '')
  t.equal(await run(BUCKET, '--abort'), '', 'what is young may be somebody’s')
  t.equal((await unfinishedUploads(t, server)).length, 3)
  const aborted = (await run(`${BUCKET}/a`, '--abort', '--older-than', '0')).trimEnd().split('\n')
  // They go side by side, and are told of as they have gone.
  t.match(aborted.map(line => line.replace(/.* (\S+) {2}\S+$/, '$1')).sort(), [
    'tests/a/one',
    'tests/a/two',
  ])
  t.ok(aborted.every(line => line.startsWith('aborted ')))
  t.same(await unfinishedUploads(t, server), ['/b/three'])
  const wrong = await session.run(['uploads', BUCKET, '--older-than', 'long'])
  t.equal(wrong.code, 2)
})
