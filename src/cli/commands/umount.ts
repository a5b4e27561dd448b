/** `bosmount umount`: unmounts, then waits until the serving process has brought all to BOS. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { counted } from '../../util/plural.js'
import { parseDuration } from '../../util/units.js'
import type { Milliseconds } from '../../util/units.js'
import { command } from '../command.js'
import { ask } from '../control.js'
import type { Stats } from '../control.js'
import { CommandError, EXIT } from '../errors.js'
import { isMounted, listMounts, mountpointPath } from '../mounts.js'
import { Progress } from '../progress.js'
import { addProgressOption, showProgress } from '../progress-option.js'
import { isAlive, readRecord, removeRecord } from '../state.js'
import type { MountRecord } from '../state.js'

interface UmountArguments {
  readonly mountpoint: string
  readonly lazy: boolean
  readonly force: boolean
  readonly progress: boolean | undefined
  readonly timeout: string
}

const POLL: Milliseconds = 50

export const umountCommand = command<UmountArguments>({
  command: 'umount <mountpoint>',
  aliases: ['unmount'],
  describe: 'Flush and unmount',
  builder: yargs =>
    addProgressOption(yargs)
      .positional('mountpoint', { type: 'string', demandOption: true })
      .option('lazy', {
        alias: 'l',
        type: 'boolean',
        default: false,
        describe: 'detach now, even while files are open; they are flushed when they are closed',
      })
      .option('force', {
        type: 'boolean',
        default: false,
        describe: 'end requests that hang, with errors for whoever made them, and detach',
      })
      .option('timeout', {
        type: 'string',
        default: '5m',
        requiresArg: true,
        describe: 'how long to wait for what is still being flushed',
      }),
  handler: async argv => {
    const mountpoint = await mountpointPath(argv.mountpoint)
    const timeout = parseDuration(argv.timeout)
    if (timeout === undefined) {
      throw new CommandError(
        `--timeout: '${argv.timeout}' is not a time such as 30s or 5m`,
        EXIT.usage,
      )
    }
    const record = await readRecord(mountpoint)
    if (await isMounted(mountpoint)) {
      if (record === undefined) await refuseForeign(mountpoint)
      await unmount(mountpoint, argv)
    } else if (record === undefined) throw new CommandError(`nothing is mounted at ${mountpoint}`)
    if (record !== undefined)
      await waitForEnd(record, { timeout, show: showProgress(argv.progress) })
  },
})

/** For root umount(8) would end any mount, also one that the whole machine needs. */
async function refuseForeign(mountpoint: string): Promise<void> {
  const { type = '' } = (await listMounts()).findLast(at => at.mountpoint === mountpoint) ?? {}
  if (type === 'fuse' || type.startsWith('fuse.')) return
  throw new CommandError(`${mountpoint} is a mount of type ${type}, not of bosmount: see umount(8)`)
}

/** As root by umount(8), else by the setuid fusermount3(1), which checks whose mount it is. */
async function unmount(
  mountpoint: string,
  { lazy, force }: Pick<UmountArguments, 'lazy' | 'force'>,
): Promise<void> {
  const [command, ...args] =
    process.getuid?.() === 0
      ? ['umount', ...(force ? ['-f'] : []), ...(lazy || force ? ['-l'] : []), mountpoint]
      : ['fusermount3', '-u', ...(lazy || force ? ['-z'] : []), mountpoint]
  const child = spawn(command ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code === 0) return
  const hint = /busy/i.test(complaint)
    ? `; something is open below it (see: fuser -vm ${mountpoint}), or use --lazy`
    : ''
  throw new CommandError(`cannot unmount ${mountpoint}: ${complaint.trim()}${hint}`)
}

interface Waiting {
  readonly timeout: Milliseconds
  readonly show: boolean
}

async function waitForEnd(record: MountRecord, { timeout, show }: Waiting): Promise<void> {
  const { mountpoint, pid } = record
  const deadline = Date.now() + timeout
  const progress = new Progress({ title: 'storing', show })
  try {
    for (let left = await filesToStore(mountpoint); await isAlive(record);) {
      if (Date.now() > deadline) {
        throw new CommandError(
          `${mountpoint} is unmounted, but process ${pid} is still storing ${left === undefined ? 'what is left' : counted(left, 'file')}; its log: ${record.logFile ?? 'on its standard error'}`,
        )
      }
      await sleep(POLL)
      const now = await filesToStore(mountpoint)
      if (now === undefined) continue
      if (left === undefined || now > left) progress.expect({ things: now - (left ?? 0) })
      else progress.tick(left - now)
      left = now
    }
  } finally {
    progress.end()
  }
  const left = await readRecord(mountpoint)
  await removeRecord(mountpoint)
  if (left?.failure === undefined) return
  throw new CommandError(`unmounted, but not everything could be stored: ${left.failure}`)
}

/** What the serving process still holds, if it says so. */
async function filesToStore(mountpoint: string): Promise<number | undefined> {
  try {
    const stats = (await ask(mountpoint, { do: 'stats' }, AbortSignal.timeout(POLL * 20))) as Stats
    const { dirty = 0, journalFiles = 0 } = stats.counts
    return dirty + journalFiles
  } catch {
    // It may have ended meanwhile, or be of a version that has no socket.
    return undefined
  }
}
