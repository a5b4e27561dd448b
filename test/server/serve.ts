/** The program `bosmount serve`. */
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Background, run } from '../helpers/processes.js'
import { executable } from '../helpers/project.js'
import { ACCESS_KEY_ID, SECRET_ACCESS_KEY, TestClient } from '../helpers/bos-client.js'
import { temporaryDirectory } from '../helpers/bos-harness.js'

const PROGRAM = executable('bosmount')

function environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env
  return {
    PATH,
    HOME,
    BCE_ACCESS_KEY_ID: ACCESS_KEY_ID,
    BCE_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    ...more,
  }
}

async function serve(t: Test, args: readonly string[] = [], more: NodeJS.ProcessEnv = {}) {
  const directory = temporaryDirectory(t)
  const common = ['--data-dir', join(directory, 'data'), '--listen', '127.0.0.1:0']
  const server = new Background(
    t,
    process.execPath,
    [PROGRAM, 'serve', ...common, '--bucket', 'test-bucket', ...args],
    { env: environment(more) },
  )
  const [, url = ''] = await server.waitFor(/listening on (http:\/\/\S+)/)
  const client = new TestClient({ url })
  t.teardown(() => client.close())
  return { server, url, client, directory }
}

async function refused(
  t: Test,
  args: readonly string[],
  expected: { readonly code: number; readonly message: RegExp },
  options: { readonly uid?: number } = {},
) {
  const { code, message } = expected
  const directory = temporaryDirectory(t)
  const missing = (option: string, value: string) => (args.includes(option) ? [] : [option, value])
  const { code: exit, stderr } = await run(
    process.execPath,
    [
      PROGRAM,
      'serve',
      ...missing('--data-dir', join(directory, 'data')),
      ...missing('--listen', '127.0.0.1:0'),
      ...args,
    ],
    { env: environment(), ...options },
  )
  t.match(stderr, message)
  t.equal(exit, code)
}

void t.test('the help names every option', async t => {
  const { code, text } = await run(process.execPath, [PROGRAM, 'serve', '--help'])
  t.equal(code, 0)
  for (const option of [
    'data-dir',
    'listen',
    'bucket',
    'region',
    'rename-object',
    'switch',
    'faults',
    'access-log',
    'allow-remote',
    'sync',
  ]) {
    t.match(text, new RegExp(`--${option} `))
  }
  t.match(text, /BCE_SESSION_TOKEN/)
})

void t.test(
  'buckets of both kinds, a region, a switch and RenameObject can be asked for',
  async t => {
    const { client } = await serve(t, [
      '--bucket=tree:hierarchy',
      '--region=su',
      '--rename-object',
      '--switch=rangeOnEmpty=416',
    ])
    const head = await client.call('HEAD', { rawPath: '/tree' })
    t.match(head.headers, { 'x-bce-bucket-type': 'namespace', 'x-bce-bucket-region': 'su' })
    await client.call('PUT', { key: 'a' })
    const empty = await client.call('GET', { key: 'a', headers: { range: 'bytes=0-1' } })
    t.equal(empty.status, 416)
    const rename = await client.call('POST', { key: 'b', headers: { 'x-bce-rename-key': 'a' } })
    t.equal(rename.status, 200)
  },
)

void t.test('a session token in the environment must come with every request', async t => {
  const { client, url } = await serve(t, [], { BCE_SESSION_TOKEN: 'token' })
  t.equal((await client.call('GET')).code, 'InvalidSessionToken')
  const temporary = new TestClient({ url, sessionToken: 'token' })
  t.teardown(() => temporary.close())
  t.equal((await temporary.call('GET')).status, 200)
})

void t.test(
  'an unknown bucket is answered with NoSuchBucket and hinted at once in the log',
  async t => {
    const { client, server } = await serve(t)
    for (let round = 0; round < 2; round += 1) {
      t.match(await client.call('GET', { rawPath: '/none/k' }), { code: 'NoSuchBucket' })
    }
    await server.waitFor(/the bucket none, which is not here: make it with PutBucket or --bucket/)
    t.equal(server.output.split('which is not here').length, 2)
  },
)

void t.test('a fault file is read again when it changes, and kept when it turns bad', async t => {
  const folder = temporaryDirectory(t)
  const file = join(folder, 'faults.yaml')
  await writeFile(
    file,
    'rules:\n  - fault: error\n    status: 503\n    code: SlowDown\n    count: 1\n',
  )
  const { client, server } = await serve(t, ['--faults', file])
  t.match(await client.call('GET'), { status: 503, code: 'SlowDown' })
  t.equal((await client.call('GET')).status, 200)

  await writeFile(`${file}.new`, '[{"fault": "error", "status": 500, "code": "InternalError"}]')
  await rename(`${file}.new`, file)
  await server.waitFor(/fault rules read/)
  t.match(await client.call('GET'), { status: 500, code: 'InternalError' })

  await writeFile(`${file}.new`, '- fault: error\n  status: 1\n  code: X\n')
  await rename(`${file}.new`, file)
  await server.waitFor(/rule 1: status: 1 is not an HTTP status.*; the rules stay as they were/)
  t.equal((await client.call('GET')).status, 500)

  await delay(20)
  await writeFile(file, '')
  await server.waitFor(/"rules":0/)
  t.equal((await client.call('GET')).status, 200)
})

void t.test('what stands in the way of a start is said', async t => {
  const { url, directory } = await serve(t)
  const bad = join(directory, 'bad.yaml')
  await writeFile(bad, '- fault: delay\n')
  const data = join(directory, 'data')
  const locked = join(directory, 'locked')
  await mkdir(locked, { mode: 0o500 })
  await Promise.all([
    refused(t, ['--faults', bad], { code: 2, message: /bad\.yaml: rule 1: delay: is missing/ }),
    refused(t, ['--faults', join(directory, 'none')], {
      code: 2,
      message: /--faults .*none: .*ENOENT/,
    }),
    refused(t, ['--switch', 'nothing=1'], {
      code: 2,
      message: /--switch: there is no switch 'nothing'/,
    }),
  ])
  await refused(t, ['--data-dir', '/proc/none'], {
    code: 1,
    message: /cannot use \/proc\/none as data directory: nothing can be made there/,
  })
  await Promise.all([
    refused(t, ['--bucket', 'a:tree'], {
      code: 2,
      message: /'a:tree' is not NAME, NAME:flat or NAME:hierarchy/,
    }),
    refused(t, ['--listen', url.slice(7)], {
      code: 1,
      message: /cannot listen on .*: the port is in use/,
    }),
    refused(t, ['--data-dir', data], {
      code: 1,
      message: /data directory .* is in use by process \d+/,
    }),
    refused(
      t,
      ['--data-dir', join(locked, 'data')],
      { code: 1, message: /cannot use .*locked\/data as data directory: it is not writable/ },
      process.getuid?.() === 0 ? { uid: 65_534 } : {},
    ),
  ])
})
