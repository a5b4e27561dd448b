/** The program itself: its embedded server and its mounts, as processes, the way users run them. */
import { mkdirSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from './owner.js'
import type { Milliseconds } from '../../src/util/units.js'
import { Background, run, type Finished, type RunOptions } from './processes.js'
import { executable } from './project.js'
import { isMounted } from './scratch.js'

export const ACCESS_KEY_ID = 'id-of-the-tests'
/** Must never be seen in any output. */
export const SECRET_ACCESS_KEY = 'secret-of-the-tests'
export const BUCKET = 'tests'

/** The executable that package.json names. */
export const PROGRAM = executable('bosmount')

/** The environment of a person who has set credentials and nothing else of ours. */
export function environment(changes: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(BCE|BOS|REGISTRY|TAP)_|^TAP$/.test(name),
  )
  return {
    ...Object.fromEntries(inherited),
    BCE_ACCESS_KEY_ID: ACCESS_KEY_ID,
    BCE_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
    ...changes,
  }
}

/** Runs `bosmount` with these arguments to its end. */
export async function bosmount(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return await run(process.execPath, [PROGRAM, ...args], { env: environment(), ...options })
}

export interface Server {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string
  /** Path of its access log. */
  readonly accessLog: string
  readonly process: Background
}

/** Starts an embedded server with one bucket, BUCKET, whose data lies below `folder`. */
export async function startServer(
  t: Owner,
  folder: string,
  args: readonly string[] = [],
  launcher: readonly string[] = [],
): Promise<Server> {
  const accessLog = join(folder, 'access.log')
  const [program, ...words] = [...launcher, process.execPath]
  const process_ = new Background(
    t,
    program ?? process.execPath,
    [
      ...words,
      PROGRAM,
      'serve',
      '--data-dir',
      join(folder, 'server'),
      ...(args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']),
      '--bucket',
      BUCKET,
      '--access-log',
      accessLog,
      ...args,
    ],
    { env: environment() },
  )
  const [, endpoint = ''] = await process_.waitFor(/listening on (http:\/\/\S+)/)
  return { endpoint, accessLog, process: process_ }
}

/**
 * Starts the server that follows another as soon as that is gone, on the same port. Its process is there
 * from the call on: one that is made while files of a mount are open here closes them before it becomes a
 * server, and may wait for itself then.
 */
export function startSuccessor(t: Owner, folder: string, server: Server): Promise<Server> {
  const wait = 'while kill -0 "$0" 2>/dev/null; do sleep 0.02; done; exec "$@"'
  const { port } = new URL(server.endpoint)
  const launcher = ['sh', '-c', wait, String(server.process.pid)]
  return startServer(t, folder, ['--listen', `127.0.0.1:${port}`], launcher)
}

export interface MountOptions {
  server: Pick<Server, 'endpoint'>
  /** Made if it does not exist. */
  mountpoint: string
  /** Further arguments. */
  args?: readonly string[]
  /** `BUCKET` or `BUCKET/prefix`. */
  source?: string
  env?: NodeJS.ProcessEnv
  uid?: number
  gid?: number
}

/** The arguments that mount the bucket of a server. */
export function mountArguments({ server, mountpoint, args = [], source = BUCKET }: MountOptions) {
  return ['mount', source, mountpoint, '--endpoint', server.endpoint, '--region', 'bj', ...args]
}

/** A mount in the foreground, so that its process can be watched and killed. */
export class MountedBucket {
  readonly path: string
  readonly process: Background

  private constructor(path: string, process: Background) {
    this.path = path
    this.process = process
  }

  /** Mounts and waits until the mount answers. @throws Error with what the program said */
  static async mount(t: Owner, options: MountOptions): Promise<MountedBucket> {
    const { mountpoint, uid, gid } = options
    // What must outlive a mount lies beside its mount point, and goes with the test.
    const { env = environment({ XDG_STATE_HOME: join(mountpoint, '..', 'state') }) } = options
    mkdirSync(mountpoint, { recursive: true })
    const process_ = new Background(
      t,
      process.execPath,
      [PROGRAM, ...mountArguments(options), '-f'],
      { env, ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) },
    )
    await until(() => isMounted(mountpoint), `${mountpoint} to be mounted`, process_)
    if (uid === undefined) await stat(mountpoint)
    return new MountedBucket(mountpoint, process_)
  }

  /** Ends it as a service manager does. @returns its exit code or signal */
  async unmount(signal: 'SIGTERM' | 'SIGINT' = 'SIGTERM'): Promise<number | string> {
    const code = await this.process.stop(signal, 60_000)
    await until(() => !isMounted(this.path), `${this.path} to be unmounted`)
    return code
  }

  /** Ends it without warning, and waits until the mount point is free again. */
  async kill(): Promise<void> {
    await this.process.stop('SIGKILL')
    await until(() => !isMounted(this.path), `${this.path} to be free after kill -9`)
  }
}

/** Waits until something holds. @throws Error when it takes too long or `process` ends before */
export async function until(
  holds: () => boolean,
  what: string,
  process?: Background,
  timeout: Milliseconds = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeout
  while (!holds()) {
    if (process?.hasEnded === true) throw new Error(`waited for ${what}:\n${process.output}`)
    if (Date.now() > deadline) {
      throw new Error(`waited too long for ${what}:\n${process?.output ?? ''}`)
    }
    await sleep(20)
  }
}
