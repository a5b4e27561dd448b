/**
 * `bosmount uploads`: multipart uploads that were begun and not finished; they cost storage until
 * aborted.
 */
import type { UploadInfo } from '../../driver/driver.js'
import { forEachParallel } from '../../util/semaphore.js'
import { parseDuration } from '../../util/units.js'
import type { Milliseconds } from '../../util/units.js'
import { addPathOptions, command, withOperands, written } from '../command.js'
import type { PathArguments } from '../command.js'
import { CommandError, EXIT } from '../errors.js'
import { formatTime, Lines, printable } from '../output.js'

interface UploadsArguments extends PathArguments {
  readonly abort: boolean
  readonly 'older-than': string | undefined
  readonly json: boolean
}

/** What is younger may be somebody's at this moment. */
const ABORTED_AGE: Milliseconds = 24 * 3_600_000
const ABORTS_AT_ONCE = 8

export const uploadsCommand = command<UploadsArguments>({
  command: 'uploads [paths..]',
  describe: 'List uploads that were never finished, or abort them',
  builder: yargs =>
    addPathOptions(yargs)
      .option('abort', { type: 'boolean', default: false, describe: 'abort them' })
      .option('older-than', {
        type: 'string',
        requiresArg: true,
        describe: 'only those begun so long ago, e.g. 2d',
        defaultDescription: '0, with --abort 1d',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object per line: path, uploadId, initiated, aborted',
      }),
  handler: async argv => {
    const age = parseDuration(argv['older-than'] ?? (argv.abort ? `${ABORTED_AGE}ms` : '0'))
    if (age === undefined) {
      throw new CommandError(
        `--older-than: '${argv['older-than'] ?? ''}' is not a time`,
        EXIT.usage,
      )
    }
    const texts = argv.paths.length === 0 ? ['/'] : argv.paths
    await withOperands(argv, texts, async ({ driver, signal }, operands) => {
      const lines = new Lines(signal)
      const begunBefore = Date.now() - age
      for (const { location } of operands) {
        const each = async (upload: UploadInfo): Promise<void> => {
          const { path, uploadId, initiated } = upload
          if (initiated.getTime() > begunBefore) return
          if (argv.abort) await driver.abortUpload(upload, { signal })
          if (argv.json) {
            await lines.addJson({ path, uploadId, initiated, aborted: argv.abort })
            return
          }
          const name = printable(written(path, location))
          const done = argv.abort ? 'aborted  ' : ''
          await lines.add(`${done}${formatTime(initiated)}  ${name}  ${uploadId}`)
        }
        const uploads = driver.uploads(location.path, { signal })
        await forEachParallel(uploads, each, { limit: ABORTS_AT_ONCE, signal })
      }
      await lines.flush()
    })
  },
})
