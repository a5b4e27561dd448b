/**
 * `npm start [-- MOUNTPOINT [DATA]]`: mounts a bucket of the embedded server, by default at ./mnt,
 * tells what to try, and stays until Ctrl-C. The data lies in a folder, by default ./data, and is
 * there again at the next start.
 *
 * The mount is a process in a group of its own, so that a Ctrl-C of the terminal reaches it only
 * through here, and once.
 */
import { spawn } from 'node:child_process'
import { lstatSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { mountPoints } from './mounts.mjs'
import { commands, PROJECT, setUp } from './setup.mjs'
import { explain, run, SetupError } from './steps.mjs'

const MOUNTPOINT = resolve(process.argv[2] ?? join(PROJECT, 'mnt'))
const DATA = resolve(process.argv[3] ?? join(PROJECT, 'data'))

/** Milliseconds until the mount must be there. */
const PATIENCE = 30_000

async function main() {
  await setUp('start')
  const made = await prepareMountpoint()
  const mount = new MountProcess()
  try {
    await untilMounted(mount)
    if (!mount.stopping) console.log(welcome())
    await mount.end()
  } finally {
    await cleanUp(made)
  }
  if (!mount.endedInOrder) throw new SetupError(`The mount ended with ${mount.outcome}.`)
  console.log(`Unmounted. The data is kept in ${here(DATA)}.`)
}

/**
 * Leaves an empty folder at ./mnt, or refuses.
 *
 * @returns whether it was made here
 */
async function prepareMountpoint() {
  if (mountPoints().includes(MOUNTPOINT)) {
    if (isAlive()) {
      throw new SetupError(
        `${here(MOUNTPOINT)} is mounted already, perhaps by another npm start.\n` +
          `To unmount it: fusermount3 -u ${here(MOUNTPOINT)}`,
      )
    }
    await run('fusermount3', ['-uz', MOUNTPOINT])
    console.log(`removed a dead mount from ${here(MOUNTPOINT)}`)
  }
  const existing = lstatSync(MOUNTPOINT, { throwIfNoEntry: false })
  if (existing === undefined) {
    mkdirSync(MOUNTPOINT)
    return true
  }
  if (!existing.isDirectory() || readdirSync(MOUNTPOINT).length > 0) {
    throw new SetupError(
      `${here(MOUNTPOINT)} is in the way: it is not an empty folder. Move it aside and try again.`,
    )
  }
  return false
}

/** Only a mount whose process is gone answers stat with an error. */
function isAlive() {
  try {
    statSync(MOUNTPOINT)
    return true
  } catch {
    return false
  }
}

class MountProcess {
  /** Exit code or signal, once it has ended. */
  outcome
  /** It was asked to unmount. */
  stopping = false
  #child
  #ended

  constructor() {
    const program = join(PROJECT, commands().bosmount)
    const args = [program, 'mount', '--embedded', DATA, MOUNTPOINT, '-f', '--log-level', 'warn']
    this.#child = spawn(process.execPath, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    })
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject)
      this.#child.once('exit', (code, signal) => {
        this.outcome = code ?? signal
        resolve()
      })
    })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => this.stop())
  }

  /**
   * Asks it to upload what is pending and to unmount. It refuses while files are open; asked again, it
   * detaches the mount point at once and ends when they are closed.
   */
  stop() {
    if (!this.stopping) console.log('\nUnmounting …')
    this.stopping = true
    this.#child.kill('SIGTERM')
  }

  /** Nothing is left to store. One that was stopped before it had mounted says by what it was. */
  get endedInOrder() {
    return this.outcome === 0 || (this.stopping && [143, 'SIGTERM'].includes(this.outcome))
  }

  /** Waits for its end. */
  end() {
    return this.#ended
  }
}

async function untilMounted(mount) {
  const deadline = Date.now() + PATIENCE
  while (mount.outcome === undefined && !mount.stopping) {
    if (mountPoints().includes(MOUNTPOINT)) return
    if (Date.now() > deadline) {
      mount.stop()
      await mount.end()
      throw new SetupError(`${here(MOUNTPOINT)} was not mounted within ${PATIENCE / 1000} s.`)
    }
    await sleep(50)
  }
}

async function cleanUp(made) {
  if (mountPoints().includes(MOUNTPOINT)) await run('fusermount3', ['-uz', MOUNTPOINT])
  if (made && lstatSync(MOUNTPOINT, { throwIfNoEntry: false })?.isDirectory()) rmdirSync(MOUNTPOINT)
}

function here(path) {
  const name = relative(process.cwd(), path)
  return name.startsWith('..') ? path : `./${name}`
}

function welcome() {
  const mnt = here(MOUNTPOINT)
  return `
A bucket is mounted at ${mnt}; its objects are kept in ${here(DATA)}. In another terminal, try:

  echo hello > ${mnt}/greeting && cat ${mnt}/greeting
  cp -r src ${mnt}/ && du -sh --apparent-size ${mnt}/src

A docker-registry keeps its data there with this in its config.yml:

  storage: { filesystem: { rootdirectory: ${MOUNTPOINT} } }

To unmount: Ctrl-C here, or  fusermount3 -u ${mnt}
`
}

main().catch(explain)
