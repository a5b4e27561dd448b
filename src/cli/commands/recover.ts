/** `bosmount recover`: brings what a mount has left in its journal to BOS, without mounting. */
import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { storeName } from '../../driver/store-name.js'
import { command } from '../command.js'
import { CommandError, EXIT, explain } from '../errors.js'
import { namedSource } from '../mount-flags.js'
import { addConfigOption } from '../option-flags.js'
import { write } from '../output.js'
import { addStoreOptions, withStore } from '../store.js'
import type { Store, StoreArguments } from '../store.js'
import { journalsDirectory } from '../state.js'
import { counted } from '../../util/plural.js'

interface RecoverArguments extends StoreArguments {
  readonly source: string | undefined
  readonly json: boolean
}

/** What became of a journal. */
interface Outcome {
  /** Changes that were in it. */
  readonly changes: number
  /** Those that are in it still. */
  readonly left: number
  /** Files that other hosts had changed. */
  readonly conflicts: number
  readonly failure?: string
}

export const recoverCommand = command<RecoverArguments>({
  command: 'recover [source]',
  describe: 'Bring what is left in the journal of BUCKET[/ROOTDIRECTORY] to BOS',
  builder: yargs =>
    addConfigOption(addStoreOptions(yargs), 'journal-dir')
      .positional('source', { type: 'string', describe: 'bucket and root as they were mounted' })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object: folder, changes, left, conflicts, failure',
      })
      .epilogue(
        'Exit code 3: all is in BOS, but other hosts had changed some of the files there; the log\n' +
          'names them, and ours lie beside them as NAME.conflict-HOST-TIME.',
      ),
  handler: async argv => {
    await withStore(argv, namedSource(argv.source), async store => {
      const { config, parameters, signal } = store
      const embedded = argv.embedded === undefined ? undefined : resolve(argv.embedded)
      const name = storeName(parameters, embedded)
      // Commands that have no journal do without it.
      const { journalFolder } = await import('../../journal/place.js')
      const folder = config.journalDirectory ?? journalFolder(journalsDirectory(), name)
      const outcome = await recover(store, { folder, name })
      await write(say(folder, outcome, argv.json), signal)
      const { failure, conflicts } = outcome
      if (failure !== undefined) throw new CommandError(failure)
      if (conflicts === 0) return
      const message = `other hosts had changed ${conflicts} of the files: see the log above`
      throw new CommandError(message, EXIT.found)
    })
  },
})

async function recover(
  { config, driver, log, signal }: Store,
  { folder, name }: { readonly folder: string; readonly name: string },
): Promise<Outcome> {
  if (!(await exists(folder))) return { changes: 0, left: 0, conflicts: 0 }
  const { JournaledDriver } = await import('../../journal/driver.js')
  const { journalSize: size, journalDelay: delay } = config
  const journaled = await JournaledDriver.open(driver, { folder, store: name, size, delay, log })
  try {
    const failure = await journaled.drain(signal).then(
      () => undefined,
      (error: unknown) => explain(error),
    )
    if (failure === undefined) await journaled.dropLeftUploads(signal)
    const { journalFiles: left, journalConflictsTotal: conflicts } = journaled.gauges
    const outcome = { changes: journaled.recovered, left, conflicts }
    return failure === undefined ? outcome : { ...outcome, failure }
  } finally {
    await journaled.close()
  }
}

function say(folder: string, outcome: Outcome, asJson: boolean): string {
  if (asJson) return `${JSON.stringify({ folder, ...outcome })}\n`
  const { changes, left } = outcome
  if (changes === 0) return `nothing is left in ${folder}\n`
  const were = counted(changes, 'change was', 'changes were')
  const stored = counted(changes - left, 'of them is', 'of them are')
  return `${folder}: ${were} left, ${stored} in BOS now\n`
}

async function exists(folder: string): Promise<boolean> {
  try {
    await access(folder)
    return true
  } catch {
    return false
  }
}
