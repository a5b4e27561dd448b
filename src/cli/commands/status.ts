/** `bosmount status`: the mounts of this user. */
import { command } from '../command.js'
import { isMounted } from '../mounts.js'
import { Lines, printable } from '../output.js'
import { isAlive, listRecords } from '../state.js'
import { interruptible } from '../interrupt.js'

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
      describe: 'one JSON object per line: mountpoint, source, pid, state, logFile, failure',
    }),
  handler: ({ json }) =>
    interruptible(async signal => {
      const lines = new Lines(signal)
      for (const record of await listRecords()) {
        const { mountpoint, source, pid, logFile, failure } = record
        const state = await stateOf(mountpoint, await isAlive(record), failure)
        if (json) await lines.addJson({ mountpoint, source, pid, state, logFile, failure })
        else {
          const why = failure === undefined ? '' : `: ${failure}`
          await lines.add(
            `${printable(mountpoint)}  ${printable(source)}  process ${pid}  ${state}${why}`,
          )
        }
      }
      await lines.flush()
    }),
})

async function stateOf(
  mountpoint: string,
  isServed: boolean,
  failure: string | undefined,
): Promise<string> {
  if (failure !== undefined) return 'ended with something left to store'
  if (!isServed) return 'dead'
  return (await isMounted(mountpoint)) ? 'mounted' : 'unmounted, still storing'
}
