/**
 * Reading values that may be texts (environment, flags) or what YAML makes of them. Mistakes are
 * collected, not thrown, so that all are told at once. No message repeats a value that may be secret.
 */
import { parseBytes, parseDuration, type Bytes, type Milliseconds } from '../util/units.js'

const SWITCHES: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  false: false,
  no: false,
  off: false,
  '0': false,
}

/** What a value may be, both ends included. */
export interface Bounds {
  readonly least: number
  readonly most: number
}

/** Values by name, and the mistakes found so far. */
export class Reading<Name extends string> {
  readonly mistakes: string[] = []
  readonly #input: Readonly<Record<string, unknown>>

  constructor(input: Readonly<Record<string, unknown>>) {
    this.#input = input
  }

  /** The value unless it is absent; an empty text is absent. */
  value(name: Name): unknown {
    const value = this.#input[name]
    if (value === undefined || value === null) return undefined
    return typeof value === 'string' && value.trim() === '' ? undefined : value
  }

  text(name: Name): string | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value === 'string') return value.trim()
    this.mistakes.push(`${name} must be text: put it in quotes`)
    return undefined
  }

  /** What a value says when words and numbers mean the same; a list or map says nothing. */
  word(name: Name): string {
    const value = this.value(name)
    const isPlain = ['string', 'number', 'boolean'].includes(typeof value)
    return isPlain ? String(value as string | number | boolean).trim() : ''
  }

  required(name: Name, what: string): string {
    if (this.value(name) === undefined) {
      this.mistakes.push(`${name} is missing: set it to ${what}`)
      return ''
    }
    return this.text(name) ?? ''
  }

  /** True or false in any of the usual words. */
  flag(name: Name): boolean | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'boolean') return value
    const answer =
      typeof value === 'string' || typeof value === 'number'
        ? SWITCHES[String(value).trim().toLowerCase()]
        : undefined
    if (answer === undefined) this.mistakes.push(`${name} must be true or false`)
    return answer
  }

  /** One of a few words, in the spelling of the list. */
  choice<T extends string>(name: Name, choices: readonly T[]): T | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const wanted = this.word(name).toLowerCase()
    const found = choices.find(choice => choice.toLowerCase() === wanted)
    if (found === undefined) this.mistakes.push(`${name} must be one of ${choices.join(', ')}`)
    return found
  }

  whole(name: Name, { least, most }: Bounds): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const number = typeof value === 'string' && /^\s*\d+\s*$/.test(value) ? Number(value) : value
    if (typeof number === 'number' && Number.isSafeInteger(number)) {
      if (number >= least && number <= most) return number
    }
    this.mistakes.push(`${name} must be a whole number from ${least} to ${most}`)
    return undefined
  }

  bytes(name: Name): Bytes | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    const size =
      typeof value === 'number' ? value : typeof value === 'string' ? parseBytes(value) : undefined
    if (size !== undefined && Number.isSafeInteger(size) && size >= 0) return size
    this.mistakes.push(`${name} must be a size in bytes, such as 10485760, 10m or 10MB`)
    return undefined
  }
  duration(name: Name, { least, most }: Bounds): Milliseconds | undefined {
    const text = this.word(name)
    if (this.value(name) === undefined) return undefined
    const time = parseDuration(text)
    if (time !== undefined && time >= least && time <= most) return time
    this.mistakes.push(`${name} must be a time such as 500ms, 10s or 2m, of at least ${least} ms`)
    return undefined
  }
}
