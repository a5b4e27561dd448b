/** `bosmount registry verify`: reads every blob and compares it with its digest. */
import { StateFile } from '../../../registry/state.js'
import { verify } from '../../../registry/verify.js'
import type { Damage, VerifyState } from '../../../registry/verify.js'
import { counted } from '../../../util/plural.js'
import { formatBytes } from '../../../util/units.js'
import { command } from '../../command.js'
import { CommandError, EXIT } from '../../errors.js'
import { Lines } from '../../output.js'
import { Progress } from '../../progress.js'
import { showProgress } from '../../progress-option.js'
import {
  addLongOptions,
  parseConcurrency,
  parseShard,
  withRegistry,
  withStateFolder,
} from './shared.js'
import type { LongArguments } from './shared.js'

export const verifyCommand = command<LongArguments>({
  command: 'verify [source]',
  describe: 'Read all blobs and compare them with their digests',
  builder: yargs =>
    addLongOptions(yargs).epilogue(
      'Exit code 3 if a blob is not what its digest says. With --state, Ctrl-C loses nothing:\n' +
        'the same command goes on where it was.',
    ),
  handler: async argv => {
    const shard = parseShard(argv.shard)
    const concurrency = parseConcurrency(argv.concurrency)
    await withRegistry(argv, (registry, { signal, bucket }) =>
      withStateFolder(argv.state, async folder => {
        const { index, count } = shard
        const identity = {
          work: 'verify',
          bucket,
          source: argv.source ?? '/',
          shard: `${index}/${count}`,
        }
        const state = new StateFile<VerifyState>(folder, identity)
        const progress = new Progress({ title: 'verify', show: showProgress(argv.progress) })
        let found: VerifyState
        try {
          found = await verify(registry, {
            shard,
            concurrency,
            state,
            onBytes: bytes => progress.add(bytes),
            onBlob: () => progress.tick(),
          })
        } finally {
          progress.end()
        }
        await report(found, argv, new Lines(signal))
      }),
    )
  },
})

async function report(found: VerifyState, argv: LongArguments, lines: Lines): Promise<void> {
  const { blobs, bytes, damaged } = found
  const line = ({ digest, problem, detail }: Damage): string => `${problem}  ${digest}  ${detail}`
  if (argv.json) {
    for (const damage of damaged) await lines.addJson(damage)
    await lines.addJson({ blobs, bytes, damaged: damaged.length })
  } else {
    for (const damage of damaged) await lines.add(line(damage))
    await lines.add(
      `${counted(blobs, 'blob')}, ${formatBytes(bytes)}: ` +
        (damaged.length === 0 ? 'all are what their digests say' : `${damaged.length} damaged`),
    )
  }
  await lines.flush()
  if (damaged.length === 0) return
  throw new CommandError(
    `${damaged.length} of ${counted(blobs, 'blob is', 'blobs are')} damaged`,
    EXIT.found,
  )
}
