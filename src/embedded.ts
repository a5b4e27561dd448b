/**
 * The embedded BOS server inside a mounting process: `mount --embedded DIR`.
 *
 * Its credentials come from the same parameters as a real bucket's; if there are none they are made
 * once and kept in the data directory, readable by its owner alone.
 */
import { keptCredential } from './server/kept-credential.js'
import type { KeptCredential } from './server/kept-credential.js'
import type { Logger } from './util/log.js'

export const EMBEDDED_BUCKET = 'bosmount'

export interface EmbeddedOptions {
  directory: string
  /** Parameters that were given; a bucket and credentials among them are used. */
  bos: Readonly<Record<string, unknown>>
  log: Logger
}

export interface Embedded {
  /** What a driver needs to reach the server. */
  readonly parameters: Readonly<Record<string, unknown>>
  close(): Promise<void>
}

/**
 * Starts the server at a free port of this machine. The caller closes it, after whatever uses it.
 *
 * @throws Error that says what to do when the data directory cannot be used, or another server has it
 */
export async function openEmbedded({ directory, bos, log }: EmbeddedOptions): Promise<Embedded> {
  const credential = givenCredential(bos) ?? (await keptCredential(directory))
  const bucket = typeof bos['bucket'] === 'string' ? bos['bucket'] : EMBEDDED_BUCKET
  // Only whoever runs the server loads it.
  const { startBosServer } = await import('./server/server.js')
  const server = await startBosServer({
    dataDirectory: directory,
    buckets: [bucket],
    credentials: [credential],
    log,
  })
  return {
    parameters: {
      accesskeyid: credential.accessKeyId,
      accesskeysecret: credential.secretAccessKey,
      region: 'bj',
      bucket,
      endpoint: server.url,
      secure: false,
    },
    close: () => server.close(),
  }
}

function givenCredential(bos: Readonly<Record<string, unknown>>): KeptCredential | undefined {
  const { accesskeyid, accesskeysecret } = bos
  if (typeof accesskeyid !== 'string' || typeof accesskeysecret !== 'string') return undefined
  return { accessKeyId: accesskeyid, secretAccessKey: accesskeysecret }
}
