/** What cannot be mounted is refused at once, with words that help and without the secret. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  bosmount,
  environment,
  mountArguments,
  SECRET_ACCESS_KEY,
  startServer,
  type MountOptions,
} from '../helpers/bosmount.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

interface Refusal {
  readonly title: string
  /** Changes to arguments that would mount. */
  readonly change?: Partial<MountOptions>
  /** Whole arguments instead. */
  readonly args?: (mountpoint: string) => string[]
  readonly env?: NodeJS.ProcessEnv
  /** What the message must name. */
  readonly says: RegExp
}

const WRONG_SECRET = 'another-secret-entirely'

const REFUSALS: readonly Refusal[] = [
  {
    title: 'a wrong secret',
    env: { BCE_SECRET_ACCESS_KEY: WRONG_SECRET },
    says: /SignatureDoesNotMatch|credentials|access key/i,
  },
  {
    title: 'an unknown access key',
    env: { BCE_ACCESS_KEY_ID: 'somebody-else' },
    says: /InvalidAccessKeyId|credentials|access key/i,
  },
  {
    title: 'no credentials',
    env: { BCE_ACCESS_KEY_ID: undefined, BCE_SECRET_ACCESS_KEY: undefined },
    says: /accesskeyid|BCE_ACCESS_KEY_ID/i,
  },
  {
    title: 'a bucket that does not exist',
    change: { source: 'no-such-bucket' },
    says: /no-such-bucket/,
  },
  {
    title: 'a mount point that does not exist',
    change: { mountpoint: '/nonexistent/mount-point' },
    says: /\/nonexistent\/mount-point/,
  },
  {
    title: 'a mount point that is a file',
    change: { mountpoint: process.execPath },
    says: /not a (directory|folder)/i,
  },
  {
    title: 'a region that does not exist',
    args: mountpoint => ['mount', 'tests', mountpoint, '--region', 'atlantis'],
    says: /atlantis/,
  },
  {
    title: 'a chunk size below 5 MB',
    change: { args: ['-o', 'chunksize=1048576'] },
    says: /chunksize/,
  },
  {
    title: 'an option that does not exist',
    change: { args: ['-o', 'chunksiz=10485760'] },
    says: /chunksiz\b/,
  },
  {
    title: 'an endpoint that contradicts secure',
    change: { args: ['-o', 'secure=true'] },
    says: /secure/,
  },
  {
    title: 'a secret among the options',
    change: { args: ['-o', `accesskeysecret=${SECRET_ACCESS_KEY}`] },
    says: /accesskeysecret/,
  },
  {
    title: 'a secret among the arguments',
    change: { args: [`--accesskeysecret=${SECRET_ACCESS_KEY}`] },
    says: /accesskeysecret/,
  },
  {
    title: 'a server that cannot be reached',
    args: mountpoint => ['mount', 'tests', mountpoint, '--endpoint', 'http://127.0.0.1:1'],
    says: /127\.0\.0\.1:1\b/,
  },
]

void t.test('mount refuses', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  for (const { title, change, args, env, says } of REFUSALS) {
    await t.test(title, async t => {
      const line = args?.(mountpoint) ?? mountArguments({ server, mountpoint, ...change })
      const finished = await bosmount(line, { env: environment(env) })
      t.equal(typeof finished.code, 'number', 'ends by itself')
      t.not(finished.code, 0, 'with an exit code that says so')
      t.match(finished.stderr, says)
      t.notMatch(finished.stderr, /\n\s+at .*:\d+:\d+/, 'without a stack')
      const output = finished.text + finished.stderr
      t.notOk(output.includes(SECRET_ACCESS_KEY) || output.includes(WRONG_SECRET), 'no secret')
      t.notOk(isMounted(mountpoint))
    })
  }
})

void t.test('a failed mount leaves what it found', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  writeFileSync(join(folder, 'kept'), '')
  const finished = await bosmount(
    mountArguments({ server, mountpoint: folder, source: 'no-such-bucket' }),
  )
  t.not(finished.code, 0)
  t.ok(existsSync(join(folder, 'kept')))
})
