/** `bosmount status`: the mounts of this user. */
import type { Milliseconds } from '../../util/units.js'
import { command } from '../command.js'
import { ask } from '../control.js'
import type { Stats } from '../control.js'
import { describeJournal } from '../journal-text.js'
import { isMounted } from '../mounts.js'
import { Lines, printable } from '../output.js'
import { isAlive, listRecords } from '../state.js'
import { interruptible } from '../interrupt.js'

const PATIENCE: Milliseconds = 1000

interface StatusArguments {
  readonly json: boolean
}

export const statusCommand = command<StatusArguments>({
  command: 'status',
  describe: 'List mounts',
  builder: yargs =>
    yargs.option('json', {
      type: 'boolean',
      default: false,
      describe:
        'one JSON object per line: mountpoint, source, pid, state, logFile, failure, journal',
    }),
  handler: ({ json }) =>
    interruptible(async signal => {
      const lines = new Lines(signal)
      for (const record of await listRecords()) {
        const { mountpoint, source, pid, logFile, failure } = record
        const state = await stateOf(mountpoint, await isAlive(record), failure)
        const counts = state === 'dead' ? undefined : await countsOf(mountpoint, signal)
        const journal = counts === undefined ? undefined : describeJournal(counts)
        if (json) {
          await lines.addJson({ mountpoint, source, pid, state, logFile, failure, journal })
        } else {
          const why = failure === undefined ? '' : `: ${failure}`
          const pending = journal === undefined ? '' : `, ${journal}`
          await lines.add(
            `${printable(mountpoint)}  ${printable(source)}  process ${pid}  ${state}${why}${pending}`,
          )
        }
      }
      await lines.flush()
    }),
})

/** What the process itself counts, if it answers. */
async function countsOf(
  mountpoint: string,
  signal: AbortSignal,
): Promise<Stats['counts'] | undefined> {
  try {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)])
    return ((await ask(mountpoint, { do: 'stats' }, soon)) as Stats).counts
  } catch {
    signal.throwIfAborted()
    // Ended with something left, or without a control socket.
    return undefined
  }
}

async function stateOf(
  mountpoint: string,
  isServed: boolean,
  failure: string | undefined,
): Promise<string> {
  if (failure !== undefined) return 'ended with something left to store'
  if (!isServed) return 'dead'
  return (await isMounted(mountpoint)) ? 'mounted' : 'unmounted, still storing'
}
