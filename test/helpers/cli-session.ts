/** Many command lines for the price of one process: for tests of what commands do and say. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { environment } from './bosmount.js'
import type { SessionAnswer, SessionRequest } from './cli-session-process.js'
import type { Owner } from './owner.js'
import { projectPath } from './project.js'
import type { Finished } from './processes.js'

export class CliSession {
  readonly #child: ChildProcess

  /** @param env  of all command lines */
  constructor(t: Owner, env: NodeJS.ProcessEnv = environment()) {
    this.#child = fork(projectPath('dist/test/helpers/cli-session-process.js'), [], {
      env,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    t.teardown(async () => {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
      this.#child.kill()
      await once(this.#child, 'exit')
    })
  }

  /** Runs one to its end; one at a time. */
  async run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Finished> {
    const answered = once(this.#child, 'message', { signal: AbortSignal.timeout(60_000) })
    // A message has no undefined.
    const changes = Object.entries(env).map(([name, value]) => [name, value ?? null] as const)
    const request: SessionRequest = { args, env: Object.fromEntries(changes) }
    this.#child.send(request)
    const [answer] = (await answered) as [SessionAnswer]
    const bytes = Buffer.from(answer.stdout, 'latin1')
    return {
      code: answer.code,
      stdout: bytes,
      text: bytes.toString(),
      stderr: Buffer.from(answer.stderr, 'latin1').toString(),
    }
  }
}
