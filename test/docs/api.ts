/** The examples of docs/API.md, run. The page shows what stands between the marks here, letter for letter. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  openBosDriver,
  parseBosParameters,
  PathNotFoundError,
  startBosServer,
} from '../../src/index.js'
import { openMount, resolveConfig } from '../../src/index.js'
import { projectPath } from '../helpers/project.js'
import { runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

const page = readFileSync(projectPath('docs/API.md'), 'utf8')

void t.test('the page shows the examples that are run here', t => {
  const source = readFileSync(projectPath('test/docs/api.ts'), 'utf8')
  const examples = [...source.matchAll(/\/\/ begin (\w+)\n([^]*?)\n *\/\/ end/g)]
  t.equal(examples.length, 3)
  for (const [, name = '', text = ''] of examples) {
    const indent = /^ */.exec(text)?.[0] ?? ''
    const code = text.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    t.ok(page.includes(code), `${name}:\n${code}`)
  }
  t.end()
})

void t.test('a server, a driver on it, and what they say', async t => {
  const folder = scratchFolder(t)
  // begin server
  const server = await startBosServer({
    dataDirectory: join(folder, 'bos'),
    buckets: ['my-bucket'],
    credentials: [{ accessKeyId: 'id', secretAccessKey: 'secret' }],
  })
  // end
  // begin driver
  const parameters = parseBosParameters({
    accesskeyid: 'id',
    accesskeysecret: 'secret',
    region: 'bj',
    bucket: 'my-bucket',
    endpoint: server.url,
  })
  const driver = await openBosDriver(parameters)
  await driver.putContent('/team/notes.txt', Buffer.from('hello'), { ifNoneMatch: '*' })
  const { size } = await driver.stat('/team/notes.txt')
  const found: string[] = []
  for await (const { entries } of driver.entries('/team')) {
    for (const { path, size } of entries) found.push(`${path}: ${size} bytes`)
  }
  await driver.move('/team/notes.txt', '/archive/notes.txt')
  const text = (await driver.getContent('/archive/notes.txt')).toString()
  try {
    await driver.stat('/team/notes.txt')
  } catch (error) {
    if (!(error instanceof PathNotFoundError)) throw error // else it has been moved
  }
  // end
  t.same([size, text, found], [5, 'hello', ['/team/notes.txt: 5 bytes']])
  await driver.close()
  await server.close()
})

void t.test('a mount', async t => {
  const folder = scratchFolder(t)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
  // begin mount
  const config = resolveConfig({
    flags: { 'metadata-ttl': '5s' },
    mountOptions: ['noatime'],
    environment: {},
  })
  const mount = await openMount({ config, mountpoint, embedded: join(folder, 'data'), log })
  // Use it from other processes: the one that serves it must never wait for it.
  // end
  const script = 'cd "$0" && echo hello > file && cat file'
  const used = await runOk('sh', ['-c', script, mountpoint], { cwd: '/' })
  t.equal(used.text, 'hello\n')
  await mount.unmount()
})

function ignore(): void {}
