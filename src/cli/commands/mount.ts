/** `bosmount mount`: in the foreground, or as a daemon that detaches once the mount works. */
import { join, resolve } from 'node:path'
import type { MountConfig } from '../../config.js'
import type { RunningMount } from '../../mount.js'
import { command } from '../command.js'
import { openInstruments } from '../instruments.js'
import { openLog } from '../logger.js'
import { adjustLogOnSignals } from '../log-signals.js'
import { isDaemonChild, reportReady, startDaemon } from '../daemon.js'
import { CommandError, EXIT, explain } from '../errors.js'
import { addMountOptions, namedSource } from '../mount-flags.js'
import { collectUnknownFlags } from '../unknown-flags.js'
import { feedWatchdog, notifyServiceManager } from '../service-manager.js'
import { listenForStop } from '../stop-signals.js'
import { checkConfig, inspectArguments } from '../store.js'
import { isMounted, mountpointPath } from '../mounts.js'
import {
  isAlive,
  journalsDirectory,
  prepareLedgerDirectory,
  prepareStateDirectory,
  readRecord,
  removeRecord,
  stateDirectory,
  writeRecord,
} from '../state.js'
import { counted } from '../../util/plural.js'

interface MountArguments {
  readonly _: readonly string[]
  /** The mount point, if it is the only operand. */
  readonly source: string
  readonly mountpoint: string | undefined
  readonly o: string[]
  readonly foreground: boolean
  readonly embedded: string | undefined
  readonly config: string | undefined
  readonly [flag: string]: unknown
}

/** What the arguments come to, before anything is touched. */
interface Plan {
  readonly config: MountConfig
  readonly mountpoint: string
  readonly embedded: string | undefined
}

export const mountCommand = command<MountArguments>({
  command: 'mount <source> [mountpoint]',
  describe: 'Mount BUCKET[/ROOTDIRECTORY] at MOUNTPOINT',
  builder: yargs =>
    collectUnknownFlags(
      addMountOptions(
        yargs
          .usage('$0 mount BUCKET[/ROOTDIRECTORY] MOUNTPOINT [options]')
          .usage('$0 mount --embedded DIR [BUCKET] MOUNTPOINT [options]')
          .positional('source', {
            type: 'string',
            demandOption: true,
            describe:
              'BUCKET or BUCKET/ROOTDIRECTORY; left out where --config or --embedded names it',
          })
          .positional('mountpoint', { type: 'string', describe: 'an empty directory' })
          .option('foreground', {
            alias: 'f',
            type: 'boolean',
            default: false,
            describe: 'stay in the foreground',
            group: 'Mount:',
          }),
      ),
      ['source', 'mountpoint'],
    ),
  handler: async argv => {
    const plan = await makePlan(argv)
    if (argv.foreground || isDaemonChild()) return serve(plan)
    const { mountpoint } = plan
    const { source, logFile } = await startDaemon()
    process.stderr.write(`${source} is mounted at ${mountpoint}; log: ${logFile}\n`)
  },
})

async function makePlan(argv: MountArguments): Promise<Plan> {
  const { embedded, _: words } = argv
  const source = argv.mountpoint === undefined ? undefined : argv.source
  const mountpoint = argv.mountpoint ?? argv.source
  // The name of the command is one of them.
  if (words.length > 1) {
    throw new CommandError('give a bucket and a mount point, and options with dashes', EXIT.usage)
  }
  const inspection = await inspectArguments(argv, namedSource(source), argv.o)
  const { config } = inspection
  if (embedded === undefined && config.bos['bucket'] === undefined) {
    throw new CommandError(
      'give a bucket before the mount point (or --embedded DIR to try it without one)',
      EXIT.usage,
    )
  }
  checkConfig(inspection, embedded !== undefined)
  return {
    config,
    mountpoint: await mountpointPath(mountpoint),
    embedded: embedded === undefined ? undefined : resolve(embedded),
  }
}

/** Mounts and stays until the mount is gone. */
async function serve({ config, mountpoint, embedded }: Plan): Promise<void> {
  await refuseSecondMount(mountpoint)
  await prepareStateDirectory()
  const logFile = config.logFile ?? (isDaemonChild() ? defaultLogFile(mountpoint) : undefined)
  const processLog = openLog({ level: config.logLevel, file: logFile, format: config.logFormat })
  const { log } = processLog
  const logSignals = adjustLogOnSignals(processLog, logFile !== undefined)
  const stop = listenForStop({ onHangup: !logSignals.takesHangup })
  const ledgerDirectory = config.readOnly ? undefined : await prepareLedgerDirectory(log)
  const instruments = await openInstruments(config, log)
  const { observer } = instruments
  // The process that detaches from a daemon, and all other commands, do without it.
  const { openMount } = await import('../../mount.js')
  const mount = await openMount({
    config,
    mountpoint,
    log,
    observer,
    journalsDirectory: journalsDirectory(),
    signal: stop.signal,
    ...(ledgerDirectory === undefined ? {} : { ledgerDirectory }),
    ...(embedded === undefined ? {} : { embedded }),
  }).catch(async (error: unknown) => {
    await instruments.close()
    // What fails because of the end is not the reason for it.
    throw stop.signal.aborted ? stop.signal.reason : error
  })
  const { source } = mount
  const record = { mountpoint, source, ...(logFile === undefined ? {} : { logFile }) }
  stop.unmount(mount)
  const starveWatchdog = feedWatchdog(() => statusOf(mount))
  try {
    await writeRecord(record)
    await instruments.attach(mount)
    log.info({ mountpoint, source }, 'mounted')
    if (!stop.signal.aborted) await announce({ source, mountpoint, logFile })
    await mount.closed
    await removeRecord(mountpoint)
    log.info({ mountpoint, source }, 'unmounted')
  } catch (error) {
    log.error({ mountpoint, source, err: error }, 'the mount ended with something left to store')
    await writeRecord({ ...record, failure: explain(error) })
    throw error
  } finally {
    starveWatchdog()
    stop.remove()
    logSignals.remove()
    await instruments.close()
  }
}

/** Says to whoever waits for it that the mount works. */
async function announce({ source, mountpoint, logFile }: Announced): Promise<void> {
  await notifyServiceManager('--ready', `--status=${source} is mounted at ${mountpoint}`)
  if (isDaemonChild()) reportReady({ source, logFile: logFile ?? '' })
  else process.stderr.write(`${source} is mounted at ${mountpoint}\n`)
}

interface Announced {
  readonly source: string
  readonly mountpoint: string
  readonly logFile: string | undefined
}

/** For `systemctl status`. */
function statusOf(mount: RunningMount): string {
  const { dirty = 0, handles = 0 } = mount.counts()
  const { source, mountpoint } = mount
  return `${source} is mounted at ${mountpoint}: ${counted(handles, 'handle')}, ${counted(dirty, 'file')} to store`
}

/** Linux would stack a second mount on the first and hide it. A dead one is cleared away instead. */
async function refuseSecondMount(mountpoint: string): Promise<void> {
  const record = await readRecord(mountpoint)
  if (record === undefined || !(await isAlive(record)) || !(await isMounted(mountpoint))) return
  throw new CommandError(
    `${record.source} is mounted at ${mountpoint} already; to end that: bosmount umount ${mountpoint}`,
  )
}

function defaultLogFile(mountpoint: string): string {
  const name = `${mountpoint.slice(1).replaceAll('/', '-') || 'root'}.log`
  return process.getuid?.() === 0
    ? join('/var/log/bosmount', name)
    : join(process.env['XDG_STATE_HOME'] ?? stateDirectory(), 'bosmount', name)
}
