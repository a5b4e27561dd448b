/**
 * Reads fault rules from what a YAML or JSON file holds: a list of rules, or a mapping with `rules`.
 * Every mistake is named by rule and field. Pure.
 *
 * A rule is one flat mapping: `fault` names the kind, the fields of the kind stand beside it, and
 * `operation`, `bucket`, `key`, `keyPattern`, `nth`, `skip`, `count`, `probability` and `seed` say what it
 * acts on. In `key` a `*` stands for any characters; `keyPattern` is a regular expression.
 */
import { parseBytes, parseDuration } from '../util/units.js'
import type { Fault, FaultRule } from './faults.js'
import { OPERATIONS, type Operation } from './router.js'

/** Says which rule is wrong and how. */
export class FaultRuleError extends Error {
  override readonly name = 'FaultRuleError'
}

type Fields = Readonly<Record<string, unknown>>
type Read<Value> = (value: unknown) => Value | undefined

interface Field {
  readonly read: Read<unknown>
  readonly wants: string
  readonly required?: boolean
}

const text: Read<string> = value => (typeof value === 'string' && value !== '' ? value : undefined)
const count: Read<number> = value =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
const integer: Read<number> = value =>
  typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
const size: Read<number> = value => (typeof value === 'string' ? parseBytes(value) : count(value))
const time: Read<number> = value => {
  if (typeof value === 'number') return value >= 0 ? Math.round(value * 1000) : undefined
  return typeof value === 'string' ? parseDuration(value) : undefined
}
const signedTime: Read<number> = value => {
  if (typeof value === 'number') return Math.round(value * 1000)
  if (typeof value !== 'string') return undefined
  const duration = parseDuration(value.replace(/^[-+]/, ''))
  return duration !== undefined && value.startsWith('-') ? -duration : duration
}
const status: Read<number> = value => {
  const number = integer(value)
  return number !== undefined && number >= 200 && number <= 599 ? number : undefined
}
const chance: Read<number> = value =>
  typeof value === 'number' && value >= 0 && value <= 1 ? value : undefined

const SIZE: Field = { read: size, wants: 'a size such as 1000 or 64k' }
const TEXT: Field = { read: text, wants: 'a text' }
const STATUS: Field = { read: status, wants: 'an HTTP status between 200 and 599' }
const COUNT: Field = { read: count, wants: 'a whole number from 0 on' }
const DURATION: Field = { read: time, wants: 'a duration such as 200ms or 2s' }
const retryAfter: Read<string> = value => (typeof value === 'number' ? `${value}` : text(value))

const needed = (field: Field): Field => ({ ...field, required: true })

/** The fields that each kind of fault has beside `fault`. */
const KINDS: Readonly<Record<Fault['kind'], Readonly<Record<string, Field>>>> = {
  delay: { delay: needed(DURATION) },
  error: {
    status: needed(STATUS),
    code: needed(TEXT),
    message: TEXT,
    retryAfter: { read: retryAfter, wants: 'seconds or an HTTP date' },
  },
  hang: {},
  'hang-response': {},
  'hang-download': { after: needed(SIZE) },
  html: { status: STATUS },
  reset: {},
  'reset-upload': { after: needed(SIZE) },
  'reset-download': { after: needed(SIZE) },
  'reset-after': {},
  truncate: { after: needed(SIZE) },
  'wrong-length': { by: needed({ read: integer, wants: 'a whole number' }) },
  corrupt: { at: SIZE },
  'corrupt-upload': { at: SIZE },
  'drop-response': {},
  'error-in-ok': { code: needed(TEXT), message: TEXT },
  'skew-date': { skew: needed({ read: signedTime, wants: 'a duration such as 20m or -1h' }) },
}

const MATCHES: Readonly<Record<string, Field>> = {
  operation: { read: operations, wants: `one or a list of ${OPERATIONS.slice(0, -2).join(', ')}` },
  bucket: TEXT,
  key: { read: glob, wants: 'a key, in which * stands for any characters' },
  keyPattern: { read: pattern, wants: 'a regular expression' },
  nth: { read: value => count(value) || undefined, wants: 'a whole number from 1 on' },
  skip: COUNT,
  count: COUNT,
  probability: { read: chance, wants: 'a number between 0 and 1' },
  seed: { read: integer, wants: 'a whole number' },
}

/** Pairs of which a rule can have one. */
const EXCLUSIVE = [
  ['key', 'keyPattern'],
  ['nth', 'skip'],
  ['nth', 'count'],
  ['nth', 'probability'],
] as const

/** @throws FaultRuleError */
export function readFaultRules(content: unknown): readonly FaultRule[] {
  if (content === null || content === undefined) return []
  const rules: unknown = isMapping(content) ? content['rules'] : content
  if (isMapping(content)) {
    const extra = Object.keys(content).find(name => name !== 'rules')
    if (extra !== undefined) throw new FaultRuleError(`'${extra}' is unknown beside 'rules'`)
  }
  if (rules === null || rules === undefined) return []
  if (!Array.isArray(rules)) throw new FaultRuleError('the rules are not a list')
  return rules.map((rule: unknown, index) => readRule(rule, `rule ${index + 1}`))
}

function readRule(rule: unknown, where: string): FaultRule {
  if (!isMapping(rule)) throw new FaultRuleError(`${where} is not a mapping`)
  const kind = rule['fault']
  if (!isKind(kind)) {
    throw new FaultRuleError(`${where}: fault: must be one of ${Object.keys(KINDS).join(', ')}`)
  }
  const fields = KINDS[kind]
  for (const name of Object.keys(rule)) {
    if (name !== 'fault' && !(name in fields) && !(name in MATCHES)) {
      throw new FaultRuleError(`${where}: ${name}: the fault ${kind} has no such field`)
    }
  }
  for (const [one, other] of EXCLUSIVE) {
    if (one in rule && other in rule) {
      throw new FaultRuleError(`${where}: ${one}: does not go together with ${other}`)
    }
  }
  const { nth, keyPattern, ...matches } = readFields(rule, MATCHES, where)
  return {
    ...matches,
    ...(typeof nth === 'number' ? { skip: nth - 1, count: 1 } : {}),
    ...(keyPattern instanceof RegExp ? { key: keyPattern } : {}),
    // The tables above have each field of each kind with its type.
    fault: { kind, ...readFields(rule, fields, where) } as Fault,
  }
}

function readFields(
  rule: Fields,
  fields: Readonly<Record<string, Field>>,
  where: string,
): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, { read, wants, required }] of Object.entries(fields)) {
    if (!(name in rule)) {
      if (required === true) throw new FaultRuleError(`${where}: ${name}: is missing: ${wants}`)
      continue
    }
    const value = read(rule[name])
    if (value === undefined) {
      throw new FaultRuleError(`${where}: ${name}: ${JSON.stringify(rule[name])} is not ${wants}`)
    }
    result[name] = value
  }
  return result
}

function operations(value: unknown): readonly Operation[] | undefined {
  const names: readonly unknown[] = Array.isArray(value) ? value : [value]
  const known = names.filter(name => isOperation(name))
  return names.length > 0 && known.length === names.length ? known : undefined
}

function isOperation(name: unknown): name is Operation {
  return OPERATIONS.some(operation => operation === name)
}

function glob(value: unknown): string | RegExp | undefined {
  const key = text(value)
  if (key?.includes('*') !== true) return key
  const parts = key.split('*').map(part => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}

function pattern(value: unknown): RegExp | undefined {
  try {
    return typeof value === 'string' ? new RegExp(value) : undefined
  } catch {
    return undefined
  }
}

function isKind(value: unknown): value is Fault['kind'] {
  return typeof value === 'string' && Object.hasOwn(KINDS, value)
}

function isMapping(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
