/** Verdaccio keeps its storage on the mount: packages are published, installed, and still there later. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { seededBytes } from '../helpers/oci-image.js'
import type { Owner } from '../helpers/owner.js'
import { Background, runOk } from '../helpers/processes.js'
import { projectPath } from '../helpers/project.js'
import { scratchFolder } from '../helpers/scratch.js'

t.setTimeout(580_000)

const VERDACCIO = projectPath('test/fixtures/verdaccio/node_modules/verdaccio/bin/verdaccio')
const CONTENT = seededBytes('package', 3_000_000)

class Verdaccio {
  readonly #folder: string
  readonly #url: string
  readonly #process: Background

  private constructor(folder: string, url: string, process: Background) {
    this.#folder = folder
    this.#url = url
    this.#process = process
  }

  static async start(t: Owner, folder: string, storage: string): Promise<Verdaccio> {
    const config = join(folder, 'verdaccio.yaml')
    const everyone = { access: '$all', publish: '$all', unpublish: '$all' }
    writeFileSync(
      config,
      stringify({
        storage,
        auth: { htpasswd: { file: join(folder, 'htpasswd') } },
        packages: { '@*/*': everyone, '**': everyone },
        max_body_size: '50mb',
        log: { type: 'stdout', format: 'pretty', level: 'warn' },
      }),
    )
    const url = `http://127.0.0.1:${await freePort()}`
    const args = [VERDACCIO, '--config', config, '--listen', url]
    const process_ = new Background(t, process.execPath, args, { cwd: folder })
    await process_.waitFor(/http address/, 60_000)
    // npm sends nothing without a token; who it is does not matter here.
    writeFileSync(
      join(folder, 'npmrc'),
      `registry=${url}/\n${url.slice(5)}/:_authToken=anyone\ncache=${join(folder, 'npm-cache')}\n`,
    )
    return new Verdaccio(folder, url, process_)
  }

  /** Runs npm against this registry alone. */
  async npm(args: readonly string[], cwd = this.#folder): Promise<string> {
    const env = {
      PATH: process.env['PATH'],
      HOME: this.#folder,
      npm_config_userconfig: join(this.#folder, 'npmrc'),
      npm_config_globalconfig: '/dev/null',
      npm_config_registry: `${this.#url}/`,
      npm_config_update_notifier: 'false',
    }
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
    const { text } = await runOk('npm', [...args, ...quiet], { cwd, env, timeout: 240_000 })
    return text.trim()
  }

  async publish(name: string, version: string): Promise<void> {
    const folder = join(this.#folder, 'packages', name)
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version }))
    writeFileSync(join(folder, 'content'), CONTENT)
    await this.npm(['publish', '--access=public'], folder)
  }

  async install(project: string, packages: readonly string[]): Promise<void> {
    const folder = join(this.#folder, project)
    mkdirSync(folder)
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    await this.npm(['install', ...packages], folder)
  }

  /** The version that a project has. */
  installed(project: string, name: string): string {
    const path = join(this.#folder, project, 'node_modules', name, 'package.json')
    return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version
  }

  contentOf(project: string, name: string): Buffer {
    return readFileSync(join(this.#folder, project, 'node_modules', name, 'content'))
  }

  async stop(): Promise<void> {
    await this.#process.stop('SIGTERM')
  }
}

/** Verdaccio does not say which port it got for 0. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

await t.test('what is published is installed, now and after a new mount', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const registry = await Verdaccio.start(t, folder, join(mountpoint, 'storage'))
  for (const version of ['1.0.0', '1.1.0']) {
    await registry.publish('plain', version)
    await registry.publish('@scope/inside', version)
  }
  await registry.install('first', ['plain@1.0.0', '@scope/inside'])
  t.equal(registry.installed('first', 'plain'), '1.0.0')
  t.equal(registry.installed('first', '@scope/inside'), '1.1.0')
  t.ok(registry.contentOf('first', 'plain').equals(CONTENT))
  await registry.stop()
  t.equal(await mount.unmount(), 0)

  const again = await MountedBucket.mount(t, { server, mountpoint })
  const restarted = await Verdaccio.start(t, folder, join(mountpoint, 'storage'))
  await restarted.install('second', ['plain', '@scope/inside@1.0.0'])
  t.equal(restarted.installed('second', 'plain'), '1.1.0')
  t.equal(restarted.installed('second', '@scope/inside'), '1.0.0')
  t.ok(restarted.contentOf('second', 'plain').equals(CONTENT))
  await restarted.publish('plain', '2.0.0')
  t.equal(await restarted.npm(['view', 'plain', 'version']), '2.0.0')
  await restarted.stop()
  t.equal(await again.unmount(), 0)
})
