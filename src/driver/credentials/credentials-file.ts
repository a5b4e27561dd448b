/**
 * The text of a credentials file. Two formats, told apart by their keys:
 *
 * - Baidu's CLI (`~/.go-bcecli/credentials`): section `[Defaults]`, keys `Ak`, `Sk`, `Sts`;
 * - bosfs2: section `[defaults]`, keys `bce_access_key_id`, `bce_secret_access_key`,
 *   `bce_security_token`, `reload_interval_s`.
 *
 * Pure. An error names the line and never repeats what is in it.
 */
import { Secret } from '../../util/secret.js'
import type { Milliseconds } from '../../util/units.js'
import type { BosCredentials } from './credentials.js'

export interface CredentialsFile {
  readonly credentials: BosCredentials
  /** How often the file wants to be looked at. */
  readonly reloadInterval?: Milliseconds
}

/** The file is not as it should be; the message has the line and nothing of its content. */
export class CredentialsFileError extends Error {
  readonly code = 'CREDENTIALS_FILE'
  readonly line: number | undefined

  constructor(problem: string, line?: number) {
    super(line === undefined ? problem : `line ${line}: ${problem}`)
    this.name = 'CredentialsFileError'
    this.line = line
  }
}

type Field = 'id' | 'secret' | 'token' | 'interval'

const FIELDS: Readonly<Record<string, Field>> = {
  ak: 'id',
  bce_access_key_id: 'id',
  sk: 'secret',
  bce_secret_access_key: 'secret',
  sts: 'token',
  bce_security_token: 'token',
  reload_interval_s: 'interval',
}

interface Line {
  readonly number: number
  readonly value: string
}

/** @throws CredentialsFileError */
export function parseCredentialsFile(text: string): CredentialsFile {
  const fields = readFields(text)
  const id = fields.get('id')?.value ?? ''
  const secret = fields.get('secret')?.value ?? ''
  const token = fields.get('token')?.value ?? ''
  if (id === '') throw new CredentialsFileError('no access key id (Ak or bce_access_key_id)')
  if (/[\s/]/.test(id)) {
    throw new CredentialsFileError('the access key id has a space or a slash in it', lineOf(fields))
  }
  if (secret === '') throw new CredentialsFileError('no secret (Sk or bce_secret_access_key)')
  const interval = readInterval(fields.get('interval'))
  return {
    credentials: {
      accessKeyId: id,
      secretAccessKey: new Secret(secret),
      ...(token === '' ? {} : { sessionToken: new Secret(token) }),
    },
    ...(interval === undefined ? {} : { reloadInterval: interval }),
  }
}

function lineOf(fields: ReadonlyMap<Field, Line>): number | undefined {
  return fields.get('id')?.number
}

/** The fields of section `defaults`; other sections are somebody else's. */
function readFields(text: string): ReadonlyMap<Field, Line> {
  const fields = new Map<Field, Line>()
  let section: string | undefined
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const number = index + 1
    const line = raw.trim()
    if (line === '' || /^[#;]/.test(line)) continue
    const header = /^\[\s*"?([^\]"]*)"?\s*\]$/.exec(line)
    if (header !== null) {
      section = header[1]?.trim().toLowerCase()
      continue
    }
    const entry = /^([A-Za-z0-9_.-]+)\s*=(.*)$/.exec(line)
    if (entry === null) throw new CredentialsFileError('neither [section] nor key = value', number)
    if (section === undefined) throw new CredentialsFileError('a value before [Defaults]', number)
    const field = FIELDS[(entry[1] ?? '').toLowerCase()]
    if (section !== 'defaults' || field === undefined) continue
    if (fields.has(field)) throw new CredentialsFileError('a value is given twice', number)
    fields.set(field, { number, value: unquote((entry[2] ?? '').trim()) })
  }
  return fields
}

function unquote(value: string): string {
  return /^"(.*)"$/.exec(value)?.[1] ?? value
}

function readInterval(line: Line | undefined): Milliseconds | undefined {
  if (line === undefined || line.value === '') return undefined
  if (/^\d{1,6}$/.test(line.value)) return Number(line.value) * 1000
  throw new CredentialsFileError('reload_interval_s is no number of seconds', line.number)
}
