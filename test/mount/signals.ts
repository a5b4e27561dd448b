/** Signals that come while a mount begins: nothing is left mounted, and the exit code says how it was. */
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { environment, mountArguments, PROGRAM, startServer, until } from '../helpers/bosmount.js'
import { Background } from '../helpers/processes.js'
import { projectPath } from '../helpers/project.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'

interface Beginning {
  readonly folder: string
  readonly mountpoint: string
  /** Starts to mount, in the foreground unless told otherwise. */
  readonly begin: (args?: readonly string[], changes?: NodeJS.ProcessEnv) => Background
}

function beginning(t: Test, folder: string, endpoint: string): Beginning {
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const server = { endpoint }
  return {
    folder,
    mountpoint,
    begin: (args = ['-f'], changes = {}) =>
      new Background(
        t,
        process.execPath,
        [PROGRAM, ...mountArguments({ server, mountpoint, args })],
        { env: environment({ XDG_STATE_HOME: join(folder, 'state'), ...changes }) },
      ),
  }
}

async function withServer(t: Test): Promise<Beginning> {
  const folder = scratchFolder(t)
  const { endpoint } = await startServer(t, folder)
  return beginning(t, folder, endpoint)
}

/** As soon as the kernel shows it, which is before the mount has answered anything. */
async function untilVisible(mountpoint: string, program: Background): Promise<void> {
  while (!isMounted(mountpoint)) {
    if (program.hasEnded) throw new Error(`nothing was mounted: ${program.output}`)
    await turn()
  }
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  void t.test(`${signal} in the moment in which the mount appears unmounts it`, async t => {
    const { mountpoint, begin } = await withServer(t)
    const mount = begin()
    await untilVisible(mountpoint, mount)
    mount.signal(signal)
    t.equal(await mount.end(), 0, mount.output)
    t.notOk(isMounted(mountpoint))
  })

  void t.test(`${signal} while the store does not answer ends mounting at once`, async t => {
    const silent = createServer(socket => socket.on('error', () => undefined))
    t.teardown(() => silent.close())
    silent.listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const { mountpoint, begin } = beginning(t, scratchFolder(t), `http://127.0.0.1:${port}`)
    const asked = once(silent, 'connection')
    const mount = begin()
    await asked
    mount.signal(signal)
    const expected = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[signal]
    t.equal(await mount.end(), expected, mount.output)
    t.notOk(isMounted(mountpoint))
  })
}

/** Keeps a mount from being told ready: a service manager is told first, and this one listens slowly. */
function holdReady(folder: string) {
  const [programs, released] = [join(folder, 'bin'), join(folder, 'released')]
  mkdirSync(programs)
  const script = `#!/bin/sh\nuntil [ -e '${released}' ]; do sleep 0.02; done\n`
  writeFileSync(join(programs, 'systemd-notify'), script, { mode: 0o755 })
  return {
    environment: {
      PATH: `${programs}:${process.env['PATH'] ?? ''}`,
      NOTIFY_SOCKET: join(folder, 'socket'),
    },
    release: () => writeFileSync(released, ''),
  }
}

void t.test('a signal to the command that mounts in the background ends both', async t => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    const { folder, mountpoint, begin } = await withServer(t)
    const held = holdReady(folder)
    const mount = begin(['--log-file', join(folder, 'log')], held.environment)
    await untilVisible(mountpoint, mount)
    mount.signal(signal)
    await until(() => !isMounted(mountpoint), 'the mount to end')
    held.release()
    const expected = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }[signal]
    t.equal(await mount.end(), expected, mount.output)
    t.notOk(isMounted(mountpoint), `nothing is mounted after ${signal}`)
  }
})

const moments = {
  'while it mounts': ({ data }: Started) => existsSync(data),
  'in the moment in which the mount appears': ({ mountpoint }: Started) => isMounted(mountpoint),
}

interface Started {
  readonly data: string
  readonly mountpoint: string
}

for (const [moment, hasCome] of Object.entries(moments)) {
  void t.test(`npm start, interrupted ${moment}, leaves only the data`, async t => {
    const folder = scratchFolder(t)
    const started = { mountpoint: join(folder, 'mnt'), data: join(folder, 'data') }
    const args = [projectPath('scripts/start.mjs'), started.mountpoint, started.data]
    const start = new Background(t, process.execPath, args, { env: environment(), cwd: folder })
    while (!start.hasEnded && !hasCome(started)) await turn()
    start.signal('SIGINT')
    t.equal(await start.end(), 0, start.output)
    t.same(readdirSync(folder), ['data'])
  })
}
