/**
 * The head of an HTTP/1.1 answer, read strictly: what is not exactly as expected is `undefined`, and
 * somebody more lenient is asked for the same answer again. Pure.
 *
 * Expected are a status of 200, 206 or an error, and a body whose length is told by one Content-Length.
 * Not expected: any other version, informational and redirecting answers, answers without a body,
 * transfer and content codings, folded or malformed lines, the same name twice where it matters.
 *
 * @see RFC 9112
 */
import type { Bytes, Milliseconds } from '../../../util/units.js'
import type { HttpHead } from '../exchange.js'

export interface ResponseHead extends HttpHead {
  /** Of the body. */
  readonly length: Bytes
  /** How long the connection may be used for another request; undefined is never. */
  readonly keepAlive: Milliseconds | undefined
}

const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) [\t\x20-\x7e\x80-\xff]*$/
/** Field lines, without spaces before the colon. */
const FIELD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/
/** Longer numbers are no lengths of objects, and not exact either. */
const LENGTH = /^\d{1,15}$/
/** As lists these are no values. */
const ONCE: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'content-range',
  'etag',
  'x-bce-content-crc32',
])

/**
 * The index behind the empty line that ends a head, or 0 if there is none yet.
 * @param from  where the search may start: all before has been searched already
 */
export function headEnd(bytes: Buffer, length: Bytes, from: Bytes): Bytes {
  // The four bytes may be spread over two pieces.
  const found = bytes.subarray(0, length).indexOf('\r\n\r\n', Math.max(0, from - 3), 'latin1')
  return found < 0 ? 0 : found + 4
}

/** @param text  the head without the empty line behind it, one character per byte */
export function parseHead(text: string): ResponseHead | undefined {
  const [first = '', ...lines] = text.split('\r\n')
  const status = Number(STATUS_LINE.exec(first)?.[1])
  if (status !== 200 && status !== 206 && !(status >= 400 && status <= 599)) return undefined
  const headers = parseFields(lines)
  if (headers === undefined) return undefined
  const { 'content-length': length = '', 'content-encoding': coding, connection } = headers
  if (!LENGTH.test(length)) return undefined
  if (headers['transfer-encoding'] !== undefined || headers['upgrade'] !== undefined)
    return undefined
  if (coding !== undefined && coding !== 'identity') return undefined
  if (connection !== undefined && !/^(?:keep-alive|close)$/i.test(connection)) return undefined
  const isClosing = connection?.toLowerCase() === 'close'
  return {
    status,
    headers,
    length: Number(length),
    keepAlive: isClosing ? undefined : keepAliveOf(headers['keep-alive']),
  }
}

function parseFields(lines: readonly string[]): Record<string, string> | undefined {
  const headers = Object.create(null) as Record<string, string>
  for (const line of lines) {
    // Only tested, and taken apart by hand: matches are objects, and this is done for every answer.
    if (!FIELD.test(line)) return undefined
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = trimmed(line, colon + 1)
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (ONCE.has(name)) return undefined
    else headers[name] = `${before}, ${value}`
  }
  return headers
}

/** From an index on, without the spaces and tabs around it. */
function trimmed(line: string, from: number): string {
  let start = from
  let end = line.length
  while (start < end && isBlank(line.charCodeAt(start))) start += 1
  while (end > start && isBlank(line.charCodeAt(end - 1))) end -= 1
  return line.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

function keepAliveOf(value: string | undefined): Milliseconds {
  if (value === undefined) return Infinity
  const seconds = /(?:^|[,\s])timeout=(\d{1,6})(?:$|[,\s])/i.exec(value)?.[1]
  return seconds === undefined ? Infinity : Number(seconds) * 1000
}
