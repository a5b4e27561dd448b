/** `bosmount doctor`: looks at everything that a mount needs, and says what to do about what is missing. */
import { parseBosParameters } from '../../driver/parameters.js'
import type { BosParameters } from '../../driver/parameters.js'
import { command } from '../command.js'
import { checkBucket } from '../doctor/bucket.js'
import type { Finding, Say } from '../doctor/check.js'
import { checkSystem, systemPlaces } from '../doctor/system.js'
import { CommandError, EXIT, explain } from '../errors.js'
import { interruptible } from '../interrupt.js'
import { addMountOptions, namedSource } from '../mount-flags.js'
import { write } from '../output.js'
import { inspectArguments, parameterMistakes } from '../store.js'
import type { StoreArguments } from '../store.js'
import { counted } from '../../util/plural.js'

interface DoctorArguments extends StoreArguments {
  readonly source: string | undefined
  readonly o: readonly string[]
  readonly json: boolean
}

export const doctorCommand = command<DoctorArguments>({
  command: 'doctor [source]',
  describe: 'Check that this machine can mount, and a bucket be used',
  builder: yargs =>
    addMountOptions(
      yargs
        .usage('$0 doctor [BUCKET[/ROOTDIRECTORY]] [options as of mount]')
        .positional('source', { type: 'string', describe: 'as of mount' }),
    )
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object per line: check, status, detail, advice',
      })
      .epilogue('Exit code 3 if anything fails.'),
  handler: argv => interruptible(signal => examine(argv, signal)),
})

async function examine(argv: DoctorArguments, signal: AbortSignal): Promise<void> {
  let failed = 0
  const say: Say = async finding => {
    if (finding.status === 'fail') failed += 1
    await write(`${argv.json ? JSON.stringify(finding) : line(finding)}\n`, signal)
  }
  const inspection = await inspectArguments(argv, namedSource(argv.source), argv.o)
  const { config } = inspection
  await checkSystem(say, systemPlaces(), config)
  const hasBucket = config.bos['bucket'] !== undefined
  if (argv.embedded !== undefined || !hasBucket) {
    const detail =
      argv.embedded === undefined
        ? 'no bucket is named: add BUCKET to try it'
        : 'the embedded server needs none of it'
    await say({ check: 'bucket', status: 'skip', detail })
  } else {
    const mistakes = [...inspection.mistakes, ...parameterMistakes(inspection, false)]
    for (const detail of mistakes) {
      await say({ check: 'settings', status: 'fail', detail, advice: 'see bosmount config' })
    }
    if (mistakes.length === 0) {
      await say({ check: 'settings', status: 'ok', detail: 'are complete and sound' })
      const parameters = await readParameters(config.bos, say)
      const { checkNetwork } = await import('../doctor/network.js')
      if (parameters !== undefined && (await checkNetwork(say, parameters))) {
        await checkBucket(say, parameters, { signal, readOnly: config.readOnly })
      }
    }
  }
  if (failed > 0) throw new CommandError(`${counted(failed, 'check')} failed`, EXIT.found)
}

async function readParameters(
  bos: Readonly<Record<string, unknown>>,
  say: Say,
): Promise<BosParameters | undefined> {
  try {
    return parseBosParameters(bos)
  } catch (error) {
    await say({ check: 'settings', status: 'fail', detail: explain(error) })
    return undefined
  }
}

function line({ check, status, detail, advice }: Finding): string {
  const first = `${status.padEnd(4)}  ${check.padEnd(16)}  ${detail}`
  return advice === undefined ? first : `${first}\n${' '.repeat(24)}→ ${advice}`
}
