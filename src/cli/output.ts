/** Standard output of commands: lines for people or programs, no faster than they are read. */
import { once } from 'node:events'

/** Writes text or bytes and waits until there is room for more. */
export async function write(data: string | Uint8Array, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted()
  const { stdout } = process
  if (stdout.write(data)) return
  await once(stdout, 'drain', signal === undefined ? {} : { signal })
}

/** Collects lines so that a listing is not one system call per line. */
export class Lines {
  readonly #signal: AbortSignal
  #pending: string[] = []
  #length = 0

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  async add(line: string): Promise<void> {
    this.#pending.push(line)
    this.#length += line.length
    if (this.#length > FLUSH_AT) await this.flush()
  }

  async addJson(value: unknown): Promise<void> {
    await this.add(JSON.stringify(value))
  }

  async flush(): Promise<void> {
    if (this.#pending.length === 0) return
    const text = `${this.#pending.join('\n')}\n`
    this.#pending = []
    this.#length = 0
    await write(text, this.#signal)
  }
}

const FLUSH_AT = 16_384

/** A name as a line shows it: control characters would move the cursor or make two lines of one. */
export function printable(name: string): string {
  // eslint-disable-next-line no-control-regex
  return name.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, character =>
    JSON.stringify(character)
      .slice(1, -1)
      .replace(/^[\u007f-\u009f]$/, hex),
  )
}

function hex(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** `2030-01-31 12:00:00` in local time. */
export function formatTime(time: Date | undefined): string {
  if (time === undefined) return '-'.padEnd(19)
  const pad = (value: number): string => String(value).padStart(2, '0')
  const date = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`
  return `${date} ${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`
}
