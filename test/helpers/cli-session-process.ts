/**
 * Runs command lines one after the other in one process, with what they print kept: a process for
 * each would spend most of its time loading. A helper of the tests, not a test.
 */
import { main } from '../../src/cli/main.js'

export interface SessionRequest {
  readonly args: readonly string[]
  /** Changes; null removes. */
  readonly env: Readonly<Record<string, string | null>>
}

export interface SessionAnswer {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

async function answer({ args, env }: SessionRequest): Promise<SessionAnswer> {
  const printed = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  const before = { ...process.env }
  for (const name of ['stdout', 'stderr'] as const) {
    process[name].write = (data: string | Uint8Array) => {
      printed[name].push(Buffer.from(data as string))
      return true
    }
  }
  for (const [name, value] of Object.entries(env)) {
    if (value === null) delete process.env[name]
    else process.env[name] = value
  }
  try {
    const code = await main(args)
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('latin1')
    return { code, stdout: text(printed.stdout), stderr: text(printed.stderr) }
  } finally {
    // What was put before the stream's own method goes away.
    Reflect.deleteProperty(process.stdout, 'write')
    Reflect.deleteProperty(process.stderr, 'write')
    process.env = before
  }
}

let last: Promise<unknown> = Promise.resolve()
process.on('message', (request: SessionRequest) => {
  last = last.then(() => answer(request)).then(result => process.send?.(result))
})
