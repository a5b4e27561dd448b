/** A line of the log as people read it: time, level, sentence, and the fields that belong to it. */
import { printable } from './output.js'

interface Entry {
  readonly time?: string
  readonly level?: string
  readonly msg?: string
  readonly pid?: number
  readonly [field: string]: unknown
}

/** Fields that say the same in every line, or are shown in a place of their own. */
const SHOWN = new Set(['time', 'level', 'msg', 'pid', 'err'])

/**
 * One line of JSON as pino writes it, as text; what is no such line stays as it is. Control characters
 * are escaped: names of files come from anybody.
 */
export function textOf(line: string): string {
  let entry: Entry
  try {
    entry = JSON.parse(line) as Entry
  } catch {
    return line
  }
  const { time = '', level = '', msg = '' } = entry
  const fields = Object.entries(entry)
    .filter(([name]) => !SHOWN.has(name))
    .map(([name, value]) => `${name}=${shown(value)}`)
  const reason = reasonOf(entry['err'])
  const sentence = reason === '' ? msg : `${msg}: ${reason}`
  return `${[time.slice(11, 23), level.toUpperCase().padEnd(5), printable(sentence), ...fields].join(' ')}\n`
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[^\s"=]+$/.test(text) ? printable(text) : JSON.stringify(text)
}

function reasonOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('message' in error)) return ''
  return String(error.message)
}
