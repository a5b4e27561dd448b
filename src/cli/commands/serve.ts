/** `bosmount serve`: the embedded BOS server as a program of its own. */
import { createWriteStream } from 'node:fs'
import type { WriteStream } from 'node:fs'
import { once } from 'node:events'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import type { Argv } from 'yargs'
import { EMBEDDED_BUCKET } from '../../embedded.js'
import type { Credential } from '../../server/auth.js'
import { CREDENTIAL_FILE, keptCredential } from '../../server/kept-credential.js'
import type { BucketOptions } from '../../server/server.js'
import { parseSwitch, type Switches } from '../../server/switches.js'
import { command } from '../command.js'
import { CommandError, EXIT, explain } from '../errors.js'
import { readFaultFile, watchFaultFile } from '../fault-file.js'
import { createLogger } from '../logger.js'

interface ServeArguments {
  readonly 'data-dir': string
  readonly listen: string
  readonly bucket: string[]
  readonly region: string
  readonly 'rename-object': boolean
  readonly switch: string[]
  readonly faults: string | undefined
  readonly 'access-log': string | undefined
  readonly 'allow-remote': boolean
  readonly sync: boolean
}

export const serveCommand = command<ServeArguments>({
  command: 'serve',
  describe: 'Run the embedded BOS server',
  builder: options,
  handler: async argv => {
    const { host, port } = parseListen(argv.listen, argv['allow-remote'])
    const buckets = argv.bucket.map(parseBucket)
    const strict = parseSwitches(argv.switch, argv['rename-object'])
    const faults = argv.faults === undefined ? [] : await readFaultFile(argv.faults)
    const dataDirectory = resolve(argv['data-dir'])
    const log = createLogger({ level: 'info' })
    const accessLog = await openAccessLog(argv['access-log'])
    const { startBosServer } = await import('../../server/server.js')
    const server = await startBosServer({
      dataDirectory,
      host,
      port,
      buckets,
      credentials: [await credentials(dataDirectory)],
      region: argv.region,
      sync: argv.sync,
      strict,
      faults,
      log,
      ...(accessLog === undefined
        ? {}
        : { accessLog: entry => void accessLog.write(`${JSON.stringify(entry)}\n`) }),
    })
    const unwatch =
      argv.faults === undefined ? () => undefined : watchFaultFile(argv.faults, server.faults, log)
    const ended = signalled()
    process.stdout.write(`listening on ${server.url}\n`)
    await ended
    unwatch()
    await server.close()
    if (accessLog !== undefined) await new Promise<void>(done => accessLog.end(done))
  },
})

function options(yargs: Argv): Argv<ServeArguments> {
  return yargs
    .option('data-dir', {
      type: 'string',
      demandOption: true,
      requiresArg: true,
      describe: 'where everything is kept; made if missing',
    })
    .option('listen', {
      type: 'string',
      default: '127.0.0.1:8010',
      requiresArg: true,
      describe: 'HOST:PORT; port 0 takes any free one',
    })
    .option('bucket', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [EMBEDDED_BUCKET],
      describe: 'bucket to make if missing, NAME or NAME:hierarchy; may be repeated',
    })
    .option('region', {
      type: 'string',
      default: 'bj',
      requiresArg: true,
      describe: 'the region that buckets are said to be in',
    })
    .option('rename-object', {
      type: 'boolean',
      default: false,
      describe: 'flat buckets have RenameObject; hierarchical ones always do',
    })
    .option('switch', {
      type: 'string',
      array: true,
      nargs: 1,
      default: [] as string[],
      describe: 'NAME=VALUE: behave another way, see docs/SERVER.md; may be repeated',
    })
    .option('faults', {
      type: 'string',
      requiresArg: true,
      describe: 'faults to inject, see docs/SERVER.md; read again when it changes',
    })
    .option('access-log', {
      type: 'string',
      requiresArg: true,
      describe: 'append one JSON object per request to this file',
    })
    .option('allow-remote', {
      type: 'boolean',
      default: false,
      describe: 'listen on an address that others can reach, without TLS',
    })
    .option('sync', {
      type: 'boolean',
      default: false,
      describe: 'bring every change to the disk before it is answered',
    })
    .epilogue(
      [
        'Credentials: BCE_ACCESS_KEY_ID and BCE_SECRET_ACCESS_KEY, and BCE_SESSION_TOKEN if set.',
        'Without them a pair is made once and kept in DATA-DIR/' + CREDENTIAL_FILE + '.',
        'The address is told on standard output. SIGTERM and SIGINT let running requests finish.',
      ].join('\n'),
    )
}

function signalled(): Promise<void> {
  return new Promise(resolve => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })
}

function parseListen(listen: string, allowRemote: boolean): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(listen)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port <= 65_535)) {
    throw new CommandError(`--listen: '${listen}' is not HOST:PORT`, EXIT.usage)
  }
  const isLoopback =
    host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
  if (!isLoopback && !allowRemote) {
    throw new CommandError(
      `--listen ${listen} can be reached from other machines, without TLS: add --allow-remote if that is meant`,
      EXIT.usage,
    )
  }
  return { host, port }
}

/** Reads `NAME`, `NAME:flat` or `NAME:hierarchy`. */
function parseBucket(text: string): BucketOptions {
  const [name = '', kind, ...rest] = text.split(':')
  if (kind === undefined) return { name }
  if (rest.length > 0 || (kind !== 'flat' && kind !== 'hierarchy')) {
    throw new CommandError(
      `--bucket: '${text}' is not NAME, NAME:flat or NAME:hierarchy`,
      EXIT.usage,
    )
  }
  return { name, hierarchy: kind === 'hierarchy' }
}

function parseSwitches(texts: readonly string[], renameObject: boolean): Partial<Switches> {
  try {
    const given: Partial<Switches>[] = texts.map(parseSwitch)
    return Object.assign({}, renameObject ? { renameObject } : {}, ...given) as Partial<Switches>
  } catch (cause) {
    throw new CommandError(`--switch: ${explain(cause)}`, EXIT.usage, { cause })
  }
}

/** From the environment variables that a mount uses, else made once and kept with the data. */
async function credentials(dataDirectory: string): Promise<Credential> {
  const accessKeyId = process.env['BCE_ACCESS_KEY_ID']
  const secretAccessKey = process.env['BCE_SECRET_ACCESS_KEY']
  const sessionToken = process.env['BCE_SESSION_TOKEN']
  if (accessKeyId && secretAccessKey) {
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }
  }
  if (accessKeyId || secretAccessKey) {
    throw new CommandError(
      'set both BCE_ACCESS_KEY_ID and BCE_SECRET_ACCESS_KEY, or neither',
      EXIT.usage,
    )
  }
  process.stderr.write(`credentials are in ${join(dataDirectory, CREDENTIAL_FILE)}\n`)
  return await keptCredential(dataDirectory)
}

async function openAccessLog(file: string | undefined): Promise<WriteStream | undefined> {
  if (file === undefined) return undefined
  const stream = createWriteStream(file, { flags: 'a', mode: 0o600 })
  try {
    await once(stream, 'open')
  } catch (error) {
    throw new CommandError(`cannot write the access log ${file}: ${explain(error)}`)
  }
  return stream
}
