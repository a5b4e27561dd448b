/** The flags of commands that take everything that `mount` takes. */
import type { Argv } from 'yargs'
import { ConfigError } from '../config.js'
import { addConfigOptions } from './option-flags.js'

export function addMountOptions<T>(yargs: Argv<T>): Argv<T> {
  return addConfigOptions(
    yargs
      .option('o', {
        type: 'string',
        array: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'none',
        describe: 'mount options as in fstab: KEY[=VALUE],…',
        group: 'Mount:',
      })
      .option('embedded', {
        type: 'string',
        requiresArg: true,
        describe: 'run the embedded BOS server inside, with its data in this directory',
        group: 'Mount:',
      })
      .option('config', {
        type: 'string',
        requiresArg: true,
        describe: "YAML file of options, or a registry's own config.yml",
        group: 'Mount:',
      }),
  ) as Argv<T>
}

/** `bucket`, `bucket/root` or `bos://bucket/root`, as values of options. */
export function namedSource(source: string | undefined): Record<string, string> {
  if (source === undefined) return {}
  const match = /^(?:bos:\/\/)?([^/]+)(?:\/(.*))?$/.exec(source)
  if (match === null) throw new ConfigError([`'${source}' is not BUCKET or BUCKET/ROOTDIRECTORY`])
  const rootdirectory = (match[2] ?? '').replace(/\/+$/, '')
  return { bucket: match[1] ?? '', ...(rootdirectory === '' ? {} : { rootdirectory }) }
}
