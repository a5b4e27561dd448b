/**
 * Starts serve-memory.js in a process of its own and talks to it. Whatever happens, at the end of
 * the test the process is gone, nothing is mounted, and the mount point is removed.
 */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ServeCommand, ServeEvent, ServeSettings } from './serve-memory.js'

/** Long enough for a machine under load; only a failure ever takes it. */
const DEADLINE = 60_000
const SCRIPT = fileURLToPath(new URL('./serve-memory.js', import.meta.url))

export const run = promisify(execFile)

/** The part of a tap test that is used here. */
export interface Cleanup {
  teardown(work: () => Promise<void>): void
}

export type Settings = Omit<ServeSettings, 'mountpoint'> & {
  readonly mountpoint?: string
  /** Serves as this user. */
  readonly uid?: number
}

type EventWith<Key extends string> = Key extends string
  ? Extract<ServeEvent, Record<Key, unknown>>
  : never

export class MountProcess {
  readonly mountpoint: string
  readonly child: ChildProcess
  readonly #events: ServeEvent[] = []
  readonly #arrivals = new EventEmitter()

  constructor(mountpoint: string, child: ChildProcess) {
    this.mountpoint = mountpoint
    this.child = child
    child.on('message', (event: ServeEvent) => {
      this.#events.push(event)
      this.#arrivals.emit('event')
    })
  }

  /** Tells a server something; one that has ended does not hear it. */
  send(command: ServeCommand): void {
    if (this.child.connected) this.child.send(command, () => undefined)
  }

  /** Takes the next event that has one of these keys. */
  async next<Key extends string>(...keys: readonly Key[]): Promise<EventWith<Key>> {
    const signal = AbortSignal.timeout(DEADLINE)
    for (;;) {
      const index = this.#events.findIndex(event => keys.some(key => key in event))
      if (index >= 0) return this.#events.splice(index, 1)[0] as EventWith<Key>
      await once(this.#arrivals, 'event', { signal }).catch((error: unknown) => {
        const said = JSON.stringify(this.#events)
        throw new Error(`no ${keys.join(' or ')} from the server; it said ${said}`, {
          cause: error,
        })
      })
    }
  }

  /** Waits until an operation was called so many times. */
  async called(operation: string, times = 1): Promise<void> {
    await eventually(`${operation} is called`, async () => {
      this.send({ do: 'stats' })
      return ((await this.next('calls')).calls[operation] ?? 0) >= times
    })
  }

  async exited(): Promise<{ code: number | null; signal: string | null }> {
    const { child } = this
    if (child.exitCode === null && child.signalCode === null) {
      await once(child, 'exit', { signal: AbortSignal.timeout(DEADLINE) })
    }
    return { code: child.exitCode, signal: child.signalCode }
  }
}

/** Lines of /proc/self/mounts for this place. */
export async function mountsAt(path: string): Promise<string[]> {
  const mounts = await readFile('/proc/self/mounts', 'utf8')
  return mounts.split('\n').filter(line => line.split(' ')[1] === path)
}

/** Waits until a condition holds. */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + DEADLINE
  while (!(await holds())) {
    if (Date.now() > until) throw new Error(`never came true: ${what}`)
    await delay(20)
  }
}

/** A directory to mount on, removed at the end together with what is mounted there. */
export async function makeMountpoint(t: Cleanup, uid?: number): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'bosmount-test-'))
  const mountpoint = join(parent, 'mnt')
  await mkdir(mountpoint)
  if (uid !== undefined) for (const path of [parent, mountpoint]) await chown(path, uid, uid)
  t.teardown(async () => {
    await eventually('nothing is mounted', async () => {
      if ((await mountsAt(mountpoint)).length === 0) return true
      // Somebody else may have been faster.
      await run('umount', ['-l', mountpoint]).catch(() => undefined)
      return false
    })
    await rm(parent, { recursive: true })
  })
  return mountpoint
}

function launch(mountpoint: string, settings: Settings): MountProcess {
  const { uid, ...rest } = settings
  const child = fork(SCRIPT, [JSON.stringify({ ...rest, mountpoint })], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    ...(uid !== undefined && { uid, gid: uid }),
  })
  // Read, so that it never waits for us; the events say what the tests want to know.
  child.stderr?.resume()
  return new MountProcess(mountpoint, child)
}

/** Starts a server, whether or not it can mount. */
export async function startServer(t: Cleanup, settings: Settings): Promise<MountProcess> {
  const mountpoint = settings.mountpoint ?? (await makeMountpoint(t, settings.uid))
  const server = launch(mountpoint, settings)
  t.teardown(async () => {
    server.child.kill('SIGKILL')
    await server.exited()
  })
  return server
}

/** Starts a server and waits for the mount. */
export async function startMount(t: Cleanup, settings: Settings): Promise<MountProcess> {
  const server = await startServer(t, settings)
  const event = await server.next('mounted', 'failed')
  if ('failed' in event) throw new Error(event.failed)
  return server
}
