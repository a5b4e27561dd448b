/** `bosmount registry gc --dry-run`: blobs that nothing refers to. */
import { findGarbage } from '../../../registry/garbage.js'
import type { GarbageState, Unreferenced } from '../../../registry/garbage.js'
import { StateFile } from '../../../registry/state.js'
import { counted } from '../../../util/plural.js'
import { formatBytes, parseDuration } from '../../../util/units.js'
import { command } from '../../command.js'
import { CommandError, EXIT } from '../../errors.js'
import { Lines } from '../../output.js'
import { Progress } from '../../progress.js'
import { showProgress } from '../../progress-option.js'
import {
  addLongOptions,
  parseConcurrency,
  parseShard,
  warnOf,
  withRegistry,
  withStateFolder,
} from './shared.js'
import type { LongArguments } from './shared.js'

interface GarbageArguments extends LongArguments {
  readonly 'dry-run': boolean
  readonly untagged: boolean
  readonly 'older-than': string
}

export const garbageCommand = command<GarbageArguments>({
  command: 'gc [source]',
  describe: 'Tell which blobs nothing refers to, and their size',
  builder: yargs =>
    addLongOptions(yargs)
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe:
          'must be given: deleting is the work of the registry, which knows what is being pushed',
      })
      .option('untagged', {
        type: 'boolean',
        default: false,
        describe: 'count manifests that no tag leads to as garbage, and what only they need',
      })
      .option('older-than', {
        type: 'string',
        requiresArg: true,
        default: '0',
        describe: 'leave out blobs that are younger, e.g. 1d: a push may be under way',
      }),
  handler: async argv => {
    if (!argv['dry-run']) {
      throw new CommandError(
        'gc only tells what is unreferenced: add --dry-run; to delete it, run garbage-collect of the ' +
          'registry while nothing is pushed',
        EXIT.usage,
      )
    }
    const olderThan = parseDuration(argv['older-than'])
    if (olderThan === undefined) {
      throw new CommandError(`--older-than: '${argv['older-than']}' is not a time`, EXIT.usage)
    }
    const { untagged } = argv
    const shard = parseShard(argv.shard)
    const concurrency = parseConcurrency(argv.concurrency)
    await withRegistry(argv, (registry, { signal, bucket }) =>
      withStateFolder(argv.state, async folder => {
        const identity = {
          work: 'gc',
          bucket,
          source: argv.source ?? '/',
          shard: `${shard.index}/${shard.count}`,
          untagged,
        }
        const state = new StateFile<GarbageState>(folder, identity)
        const progress = new Progress({ title: 'gc', show: showProgress(argv.progress) })
        const lines = new Lines(signal)
        try {
          const all = await findGarbage(registry, {
            folder,
            state,
            shard,
            untagged,
            olderThan,
            concurrency,
            onRepository: () => progress.tick(),
            onBlobs: count => progress.tick(count),
            onUnreferenced: blob => show(blob, argv, lines),
          })
          progress.end()
          warnOf(all.broken)
          await report(all, argv, lines)
        } finally {
          progress.end()
        }
      }),
    )
  },
})

async function show(blob: Unreferenced, { json }: GarbageArguments, lines: Lines): Promise<void> {
  if (json) await lines.addJson(blob)
  else await lines.add(`${String(blob.size).padStart(14)}  ${blob.digest}`)
}

async function report(all: GarbageState, argv: GarbageArguments, lines: Lines): Promise<void> {
  const { blobs, bytes, unreferenced, repositories, manifests, untagged } = all
  if (argv.json)
    await lines.addJson({ repositories, manifests, untagged, blobs, unreferenced, bytes })
  else {
    await lines.add(
      `${counted(repositories, 'repository', 'repositories')} with ${counted(manifests, 'manifest')}, of which no tag leads to ${untagged}\n` +
        `${unreferenced} of ${counted(blobs, 'blob is', 'blobs are')} unreferenced: ${formatBytes(bytes)}`,
    )
  }
  await lines.flush()
}
