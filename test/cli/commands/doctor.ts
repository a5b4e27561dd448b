/** `bosmount doctor` on healthy and on sick surroundings. */
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Finding } from '../../../src/cli/doctor/check.js'
import { checkSystem, systemPlaces, type SystemPlaces } from '../../../src/cli/doctor/system.js'
import { BUCKET, environment, SECRET_ACCESS_KEY, startServer } from '../../helpers/bosmount.js'
import { openBucket, unfinishedUploads } from '../../helpers/bucket.js'
import { CliSession } from '../../helpers/cli-session.js'
import { scratchFolder } from '../../helpers/scratch.js'

const folder = scratchFolder(t)
const server = await startServer(t, folder)
const session = new CliSession(t, environment({ HOME: '/nonexistent' }))

async function doctor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const finished = await session.run(['doctor', '--json', ...args], {
    REGISTRY_STORAGE_BOS_REGION: 'bj',
    ...env,
  })
  const findings = finished.text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Finding)
  const status = (check: string) => findings.find(finding => finding.check === check)
  return { ...finished, findings, status }
}

void t.test('a bucket that can be used is ok in every line, and nothing is left in it', async t => {
  const found = await doctor([BUCKET, '--endpoint', server.endpoint])
  const checks = ['settings', 'DNS', 'endpoint', 'TLS', 'clock', 'bucket', 'list', 'put', 'get']
  for (const check of [...checks, 'conditions', 'delete', 'multipart']) {
    t.equal(found.status(check)?.status, 'ok', `${check}: ${found.status(check)?.detail}`)
  }
  t.same(await unfinishedUploads(t, server), [])
  t.same(await (await openBucket(t, server)).list('/'), [])
  t.notOk(found.text.includes(SECRET_ACCESS_KEY))
  const text = await session.run(['doctor', BUCKET, '--endpoint', server.endpoint])
  t.match(text.text, /^ok {4}multipart {9}big files can be stored in parts$/m)
})

async function fails(
  t: Test,
  check: string,
  says: RegExp,
  run: { args: string[]; env?: NodeJS.ProcessEnv },
): Promise<void> {
  const found = await doctor(run.args, run.env)
  t.equal(found.code, 3, check)
  const finding = found.status(check)
  t.equal(finding?.status, 'fail', check)
  t.match(finding?.detail, says, check)
  t.ok(finding?.advice, `${check} says what to do`)
  t.notOk(found.text.includes(SECRET_ACCESS_KEY))
}

void t.test('what is wrong is told at the step where it shows', async t => {
  const { endpoint } = server
  await fails(t, 'DNS', /ENOTFOUND|EAI_AGAIN/, {
    args: [BUCKET, '--endpoint', 'http://nowhere.invalid'],
  })
  await fails(t, 'endpoint', /ECONNREFUSED/, { args: [BUCKET, '--endpoint', 'http://127.0.0.1:1'] })
  await fails(t, 'TLS', /SSL|wrong version/i, {
    args: [BUCKET, '--endpoint', endpoint.replace('http:', 'https:')],
  })
  await fails(t, 'bucket', /no-such-bucket does not exist/, {
    args: ['no-such-bucket', '--endpoint', endpoint],
  })
  const { stderr } = await doctor(['no-such-bucket', '--endpoint', endpoint])
  t.equal(stderr, 'bosmount: 1 check failed\n')
  await fails(t, 'bucket', /accesskeysecret does not belong/, {
    args: [BUCKET, '--endpoint', endpoint],
    env: { BCE_SECRET_ACCESS_KEY: 'wrong' },
  })
  await fails(t, 'settings', /chunksize 7 is too small.*--chunksize/, {
    args: [BUCKET, '--chunksize', '7'],
  })
})

void t.test('a clock that is off is told', async t => {
  const ahead = createServer((_request, response) => {
    response.writeHead(403, { date: new Date(Date.now() - 20 * 60_000).toUTCString() }).end()
  })
  await new Promise<void>(resolve => ahead.listen(0, '127.0.0.1', resolve))
  t.teardown(() => ahead.close())
  const { port } = ahead.address() as AddressInfo
  await fails(t, 'clock', /1[12]\d\d s ahead of the endpoint/, {
    args: [BUCKET, '--endpoint', `http://127.0.0.1:${port}`],
  })
})

void t.test('without a bucket only the machine is looked at', async t => {
  const found = await doctor([])
  t.equal(found.status('bucket')?.status, 'skip')
})

async function system(changes: Partial<SystemPlaces>, allowOther = false): Promise<Finding[]> {
  const findings: Finding[] = []
  const say = async (finding: Finding) => void findings.push(finding)
  await checkSystem(say, { ...systemPlaces(), ...changes }, { allowOther })
  return findings
}

void t.test('what the machine lacks is told with what to do', async t => {
  const fuseConf = join(folder, 'fuse.conf')
  const limits = join(folder, 'limits')
  writeFileSync(fuseConf, '# user_allow_other\n')
  writeFileSync(
    limits,
    'Max open files            1024                 4096                 files\n',
  )
  writeFileSync(join(folder, 'fusermount3'), '', { mode: 0o755 })
  const places = {
    device: '/nonexistent',
    fuseConf,
    limits,
    path: folder,
    isRoot: false,
    threadPool: '2',
    nodeVersion: '20.18.0',
  }
  const findings = await system(places, true)
  const status = Object.fromEntries(findings.map(each => [each.check, each.status]))
  t.match(status, {
    'Node.js': 'fail',
    '/dev/fuse': 'fail',
    fusermount3: 'fail',
    user_allow_other: 'fail',
    'open files': 'warn',
    'thread pool': 'warn',
  })
  for (const finding of findings) {
    if (finding.status !== 'ok') t.ok(finding.advice, finding.check)
  }
  writeFileSync(fuseConf, 'user_allow_other\n')
  const after = await system({ ...places, path: '/nonexistent' }, true)
  t.match(
    after.filter(({ check }) => check === 'user_allow_other' || check === 'fusermount3'),
    [{ detail: /not in the PATH/ }, { status: 'ok' }],
  )
})
