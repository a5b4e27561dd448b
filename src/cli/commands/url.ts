/** `bosmount url`: presigned URLs, which anybody can read a file by for a while. */
import { parseDuration } from '../../util/units.js'
import { addPathOptions, command, forEachPath, matches } from '../command.js'
import type { PathArguments } from '../command.js'
import { CommandError, EXIT } from '../errors.js'
import { write } from '../output.js'

interface UrlArguments extends PathArguments {
  readonly expires: string
  readonly method: 'GET' | 'HEAD'
  readonly json: boolean
}

export const urlCommand = command<UrlArguments>({
  command: 'url <paths..>',
  aliases: ['sign'],
  describe: 'Print URLs by which anybody can read files for a while',
  builder: yargs =>
    addPathOptions(yargs)
      .option('expires', {
        alias: 'e',
        type: 'string',
        requiresArg: true,
        default: '20m',
        describe: 'how long the URL works, e.g. 15m, 12h, 7d',
      })
      .option('method', {
        choices: ['GET', 'HEAD'] as const,
        default: 'GET' as const,
        describe: 'what the URL is for',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object per line: path, url, expires',
      }),
  handler: async argv => {
    const expires = parseDuration(argv.expires)
    if (expires === undefined || expires < 1000) {
      throw new CommandError(`--expires: '${argv.expires}' is not a time such as 15m`, EXIT.usage)
    }
    if (argv.embedded !== undefined) {
      throw new CommandError('an embedded server ends with this command: use serve', EXIT.usage)
    }
    await forEachPath(argv, 'url: name a file', async (store, operand) => {
      for await (const { path, isDir } of matches(store, operand, argv.literal)) {
        if (isDir) throw new CommandError(`${operand.text}: is a directory`)
        const url = await store.driver.redirectURL(path, { method: argv.method, expires })
        if (url === undefined) throw new CommandError(`${operand.text}: this store has no URLs`)
        const until = new Date(Date.now() + expires).toISOString()
        const text = argv.json ? JSON.stringify({ path, url, expires: until }) : url
        await write(`${text}\n`, store.signal)
      }
    })
  },
})
