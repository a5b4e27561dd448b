/** A mount that is watched and spoken to: metrics, health, live statistics, status, sync, invalidate. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import {
  environment,
  mountArguments,
  MountedBucket,
  startServer,
  bosmount,
} from '../helpers/bosmount.js'
import { projectPath } from '../helpers/project.js'
import { socketOf } from '../../src/cli/state.js'
import { bucketContents, openBucket } from '../helpers/bucket.js'
import { scratchFolder } from '../helpers/scratch.js'

async function stage(t: Test, args: string[] = []) {
  const folder = scratchFolder(t)
  const runtime = join(folder, 'run')
  mkdirSync(runtime, { mode: 0o700 })
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const env = environment({ XDG_RUNTIME_DIR: runtime, XDG_STATE_HOME: runtime })
  const all = { server, mountpoint, env, args: ['--metadata-ttl', '1h', ...args] }
  const mount = await MountedBucket.mount(t, all)
  // It can be spoken to once it says so.
  await mount.process.waitFor(/is mounted at/)
  const run = (...line: string[]) => bosmount(line, { env })
  return { folder, server, mountpoint, mount, run, all }
}

/** One request to a socket. */
function get(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
      .on('error', reject)
      .end()
  })
}

void t.test('metrics, health and statistics tell what was done', async t => {
  const folder = scratchFolder(t)
  const socket = join(folder, 'metrics.sock')
  const { mountpoint, mount, run, server } = await stage(t, ['--metrics', socket])
  t.equal(statSync(socket).mode & 0o777, 0o600)
  const content = Buffer.alloc(100_000, 'x')
  writeFileSync(join(mountpoint, 'file'), content)
  t.ok(readFileSync(join(mountpoint, 'file')).equals(content))
  t.notOk(existsSync(join(mountpoint, 'absent')))
  const { status, text } = await get(socket, '/metrics')
  t.equal(status, 200)
  t.match(text, /^bosmount_fuse_operation_seconds_count\{operation="create"\} 1$/m)
  t.match(text, /^bosmount_fuse_bytes_total\{direction="write"\} 100000$/m)
  t.match(text, /^bosmount_store_bytes_total\{direction="write"\} 100000$/m)
  t.match(text, /^bosmount_store_operation_seconds_count\{operation="putContent"\} 1$/m)
  t.match(text, /^bosmount_inodes \d+$/m)
  t.match(text, /^bosmount_requests_total\{operation="PutObject",status="200"\} 1$/m)
  t.match(text, /^bosmount_request_bytes_total\{direction="sent"\} 100000$/m)
  t.match(text, /^bosmount_cache_misses_total \d+$/m)
  t.match(text, /^bosmount_dirty_bytes \d+$/m)
  const board = readFileSync(projectPath('docs/examples/grafana-dashboard.json'), 'utf8')
  const exprs = [...board.matchAll(/"expr": "((?:[^"\\]|\\.)*)"/g)].map(([, expr = '']) => expr)
  t.ok(exprs.length > 10)
  for (const name of new Set(exprs.join(' ').match(/bosmount_\w+/g))) {
    t.match(text, new RegExp(`^# TYPE ${name.replace(/_(bucket|sum|count)$/, '')} `, 'm'), name)
  }
  t.match(text, /^bosmount_nodejs_eventloop_lag_seconds /m)
  t.same(await get(socket, '/healthz'), { status: 200, text: 'ok\n' })
  t.same(await get(socket, '/readyz'), { status: 200, text: 'ok\n' })
  t.equal((await get(socket, '/other')).status, 404)

  const stats = await run('stats', mountpoint, '--count', '2', '--interval', '100ms')
  t.equal(stats.code, 0, stats.stderr)
  t.match(
    stats.text,
    /^bos:\/\/tests at .*: \d+ inodes, \d+ handles, 0 files to store, .* resident\n/,
  )
  t.match(stats.text, /^fuse create +[\d.]+ +[\d.]+ +[\d.]+ +0$/m)
  const json = JSON.parse(
    (await run('stats', mountpoint, '--count', '1', '--json')).text,
  ) as unknown
  t.match(json, { mountpoint, tally: { fuse: { written: 100_000 }, store: { written: 100_000 } } })

  await server.process.kill()
  const late = await new Promise<{ status: number }>(resolve => {
    // The last answer is believed for some seconds.
    setTimeout(() => void get(socket, '/readyz').then(resolve), 1_100)
  })
  t.equal(late.status, 503, 'the store does not answer')
  t.equal((await get(socket, '/healthz')).status, 200, 'but the process lives')
  await mount.unmount()
  t.notOk(existsSync(socket))
})

void t.test('status lists mounts, and their sockets are private', async t => {
  const { mountpoint, mount, run, folder } = await stage(t)
  const isRoot = process.getuid?.() === 0
  const state = isRoot ? '/run/bosmount' : join(folder, 'run', 'bosmount')
  t.equal(statSync(join(state, basename(socketOf(mountpoint)))).mode & 0o777, 0o600)
  t.equal(statSync(state).mode & 0o077, 0)
  const rows = (await run('status', '--json')).text
    .trimEnd()
    .split('\n')
    .map(row => JSON.parse(row) as { mountpoint: string })
  t.match(
    rows.find(row => row.mountpoint === mountpoint),
    { source: 'bos://tests', pid: mount.process.pid, state: 'mounted' },
  )
  t.match(
    (await run('status')).text,
    `${mountpoint}  bos://tests  process ${mount.process.pid}  mounted`,
  )
  await mount.unmount()
  t.notMatch((await run('status')).text, mountpoint)
  const gone = await run('stats', mountpoint)
  t.equal(gone.code, 1)
  t.match(gone.stderr, /no process of yours serves/)
})

void t.test('sync stores what is only here, and invalidate shows what others did', async t => {
  const { mountpoint, run, server } = await stage(t)
  mkdirSync(join(mountpoint, 'empty'))
  const synced = await run('sync', mountpoint)
  t.equal(synced.code, 0, synced.stderr)
  t.same(Object.keys(await bucketContents(t, server)), ['/empty/'])
  t.same(readdirSync(mountpoint), ['empty'])
  const driver = await openBucket(t, server)
  await driver.putContent('/empty/new', Buffer.from('x'))
  t.same(readdirSync(join(mountpoint, 'empty')), [], 'an hour is the time-to-live here')
  const done = await run('invalidate', join(mountpoint, 'empty'))
  t.equal(done.code, 0, done.stderr)
  t.same(readdirSync(join(mountpoint, 'empty')), ['new'])
  const elsewhere = await run('invalidate', '/proc/self')
  t.equal(elsewhere.code, 1)
  t.match(elsewhere.stderr, /is not on a mount/)
})

void t.test('umount --force ends a mount whose store does not answer', async t => {
  const { mountpoint, run, server, mount } = await stage(t)
  writeFileSync(join(mountpoint, 'file'), 'x')
  await server.process.kill()
  const forced = await run('umount', mountpoint, '--force', '--timeout', '60s')
  t.equal(forced.code, 0, forced.stderr)
  t.equal(await mount.process.end(), 0, mount.process.output)
})

void t.test(
  'an address for metrics that cannot be used is told before anything is mounted',
  async t => {
    const folder = scratchFolder(t)
    const server = await startServer(t, folder)
    const mountpoint = join(folder, 'mount')
    mkdirSync(mountpoint)
    const args = ['--metrics', 'nonsense', '-f']
    const finished = await bosmount(mountArguments({ server, mountpoint, args }))
    t.not(finished.code, 0)
    t.match(finished.stderr, /metrics: 'nonsense' is not HOST:PORT/)
  },
)
