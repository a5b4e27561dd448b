/** `bosmount stat`: what BOS knows about single files. */
import type { FileInfo } from '../../driver/driver.js'
import { addPathOptions, command, forEachPath, matches, written } from '../command.js'
import type { Operand, PathArguments } from '../command.js'
import { formatTime, printable, write } from '../output.js'
import { asJson } from './ls.js'

interface StatArguments extends PathArguments {
  readonly json: boolean
}

export const statCommand = command<StatArguments>({
  command: 'stat <paths..>',
  describe: 'Show size, time and version of files',
  builder: yargs =>
    addPathOptions(yargs).option('json', {
      type: 'boolean',
      default: false,
      describe: 'one JSON object per line: path, type, size, modTime, etag',
    }),
  handler: argv =>
    forEachPath(argv, 'stat: name a file', async (store, operand) => {
      for await (const info of matches(store, operand, argv.literal)) {
        const text = argv.json ? JSON.stringify(asJson(info)) : describe(info, operand)
        await write(`${text}\n`, store.signal)
      }
    }),
})

function describe(info: FileInfo, { location }: Operand): string {
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['path', printable(written(info.path, location))],
    ['type', info.isDir ? 'directory' : 'file'],
    ['size', info.isDir ? undefined : `${info.size}`],
    ['modified', info.modTime === undefined ? undefined : formatTime(info.modTime)],
    ['etag', info.etag],
  ]
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${`${name}:`.padEnd(10)}${value ?? ''}`)
    .join('\n')
}
