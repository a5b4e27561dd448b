/** `bosmount sync` and `bosmount invalidate`: told to the process that serves a mount. */
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { command } from '../command.js'
import { ask } from '../control.js'
import { CommandError } from '../errors.js'
import { interruptible } from '../interrupt.js'
import { listMounts, mountpointPath } from '../mounts.js'

interface SyncArguments {
  readonly mountpoint: string
}

export const syncCommand = command<SyncArguments>({
  command: 'sync <mountpoint>',
  describe: 'Store all that was written; return when BOS has it',
  builder: yargs => yargs.positional('mountpoint', { type: 'string', demandOption: true }),
  handler: ({ mountpoint }) =>
    interruptible(async signal => {
      await ask(await mountpointPath(mountpoint), { do: 'sync' }, signal)
    }),
})

interface InvalidateArguments {
  readonly path: string
}

export const invalidateCommand = command<InvalidateArguments>({
  command: 'invalidate <path>',
  describe: 'Forget what a mount believes of a path and all below it',
  builder: yargs =>
    yargs
      .positional('path', {
        type: 'string',
        demandOption: true,
        describe: 'a file or directory on a mount',
      })
      .epilogue('What other hosts have changed is seen at once then, whatever metadata-ttl says.'),
  handler: argv =>
    interruptible(async signal => {
      const { mountpoint, path } = await locate(argv.path)
      await ask(mountpoint, { do: 'invalidate', path }, signal)
    }),
})

/** The innermost mount of ours that a path lies on. Nothing on the mount itself is looked at. */
async function locate(text: string): Promise<{ mountpoint: string; path: string }> {
  const mounts = (await listMounts()).filter(({ type }) => type.startsWith('fuse'))
  for (const path of [resolve(text), await outsideResolved(resolve(text))]) {
    const found = mounts
      .map(({ mountpoint }) => mountpoint)
      .filter(mountpoint => path === mountpoint || path.startsWith(`${mountpoint}/`))
      .sort((a, b) => b.length - a.length)[0]
    if (found !== undefined) return { mountpoint: found, path: path.slice(found.length) || '/' }
  }
  throw new CommandError(`${text} is not on a mount`)
}

async function outsideResolved(path: string): Promise<string> {
  return await realpath(dirname(path)).then(
    folder => join(folder, basename(path)),
    () => path,
  )
}
