/** `bosmount registry du`: what each repository needs, and how much of it alone. */
import { Spill } from '../../../registry/spill.js'
import { usage } from '../../../registry/usage.js'
import type { Usage } from '../../../registry/usage.js'
import { counted } from '../../../util/plural.js'
import { formatBytes } from '../../../util/units.js'
import { command } from '../../command.js'
import { Lines, printable } from '../../output.js'
import { Progress } from '../../progress.js'
import { showProgress } from '../../progress-option.js'
import { addRegistryOptions, warnOf, withRegistry, withStateFolder } from './shared.js'
import type { RegistryArguments } from './shared.js'

interface UsageArguments extends RegistryArguments {
  readonly bytes: boolean
}

export const usageCommand = command<UsageArguments>({
  command: 'du [source]',
  describe: 'Add up what each repository needs, alone and shared',
  builder: yargs =>
    addRegistryOptions(yargs)
      .option('bytes', {
        alias: 'b',
        type: 'boolean',
        default: false,
        describe: 'sizes as numbers of bytes',
      })
      .epilogue(
        'Reads all manifests and no blob. There is no --shard or --state: what a repository needs alone is ' +
          'known only to who has read the manifests of all the others, and that is the whole work.',
      ),
  handler: argv =>
    withRegistry(argv, (registry, { signal }) =>
      withStateFolder(undefined, async folder => {
        const progress = new Progress({ title: 'repositories', show: showProgress(argv.progress) })
        const spill = new Spill(folder)
        let found: Usage
        try {
          found = await usage(registry, { spill, onRepository: () => progress.tick() })
        } finally {
          progress.end()
        }
        warnOf(found.broken)
        await print(found, argv, new Lines(signal))
      }),
    ),
})

async function print(found: Usage, argv: UsageArguments, lines: Lines): Promise<void> {
  const { repositories, blobs, bytes } = found
  const size = (value: number): string => (argv.bytes ? String(value) : formatBytes(value))
  if (argv.json) {
    for (const row of repositories) await lines.addJson(row)
    await lines.addJson({ repositories: repositories.length, blobs, bytes })
    await lines.flush()
    return
  }
  const columns = (cells: readonly string[]): string =>
    cells.map((cell, i) => (i < 4 ? cell.padStart(12) : `  ${cell}`)).join('')
  await lines.add(columns(['unique', 'shared', 'blobs', 'manifests', 'repository']))
  for (const row of repositories) {
    const numbers = [size(row.unique), size(row.shared), String(row.blobs), String(row.manifests)]
    await lines.add(columns([...numbers, printable(row.repository)]))
  }
  const counts = counted(blobs, 'blob is', 'blobs are')
  await lines.add(`${size(bytes)} in ${counts} referred to, each counted once`)
  await lines.flush()
}
