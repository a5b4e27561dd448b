import fc from 'fast-check'
import t from 'tap'
import { headEnd, parseHead } from '../../../../src/driver/bos/receive/response-head.js'

const LINES = ['Content-Length: 12', 'ETag: "abc"', 'Date: Mon, 01 Jan 2024 00:00:00 GMT']

function head(status = 'HTTP/1.1 206 Partial Content', lines: readonly string[] = LINES): string {
  return [status, ...lines].join('\r\n')
}

void t.test('a plain answer is read, names in lower case', t => {
  const parsed = parseHead(head())
  t.match(parsed, {
    status: 206,
    length: 12,
    keepAlive: Infinity,
    headers: { 'content-length': '12', etag: '"abc"' },
  })
  t.equal(parseHead(head('HTTP/1.1 200 '))?.status, 200, 'a reason may be empty')
  t.equal(parseHead(head('HTTP/1.1 503 Slow Down'))?.status, 503)
  t.equal(parseHead(head(undefined, [...LINES, 'X: a', 'x:  b ']))?.headers['x'], 'a, b')
  // Only spaces and tabs are around a value; anything else is part of it.
  t.equal(
    parseHead(head(undefined, [...LINES, 'X:\t \xa0b: c\xa0\t ']))?.headers['x'],
    '\xa0b: c\xa0',
  )
  t.equal(parseHead(head(undefined, [...LINES, 'X:', 'Y: \t ']))?.headers['y'], '')
  t.end()
})

void t.test('how long a connection is kept is told by the answer', t => {
  const keepAlive = (...lines: string[]) => parseHead(head(undefined, [...LINES, ...lines]))
  t.equal(keepAlive('Connection: close')?.keepAlive, undefined)
  t.equal(keepAlive('Connection: Keep-Alive', 'Keep-Alive: timeout=5')?.keepAlive, 5000)
  t.equal(keepAlive('Keep-Alive: max=100, timeout=60')?.keepAlive, 60_000)
  t.equal(keepAlive('Keep-Alive: soon')?.keepAlive, Infinity)
  t.end()
})

void t.test('whatever is not plainly expected is left to others', t => {
  for (const status of [
    'HTTP/1.0 200 OK',
    'HTTP/2 200 OK',
    'HTTP/1.1 100 Continue',
    'HTTP/1.1 103 Early Hints',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 302 Found',
    'HTTP/1.1 304 Not Modified',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1  200 OK',
    'HTTP/1.1 200',
    'http/1.1 200 OK',
    'HTTP/1.1 200 O\u0000K',
    '',
  ]) {
    t.equal(parseHead(head(status)), undefined, status)
  }
  for (const line of [
    'Transfer-Encoding: chunked',
    'Content-Encoding: gzip',
    'Content-Length: 12',
    'ETag: "other"',
    'Connection: upgrade',
    'Connection: keep-alive, close',
    'Upgrade: h2c',
    ' folded',
    'no colon',
    'space before : colon',
    ': no name',
    'name: with \u0000',
    'name: with \n line feed',
  ]) {
    t.equal(parseHead(head(undefined, [...LINES, line])), undefined, line)
  }
  for (const length of ['', '-1', '+1', '1.5', '0x10', '1, 1', '1234567890123456', '١٢']) {
    t.equal(parseHead(head(undefined, [`Content-Length: ${length}`])), undefined, length)
  }
  t.equal(parseHead(head(undefined, ['ETag: "abc"'])), undefined, 'no length')
  t.end()
})

void t.test('the end of a head is found wherever it is cut, and no earlier', t => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('\r', '\n', 'x', '\r\n'), { maxLength: 40 }), parts => {
      const bytes = Buffer.from(`${parts.join('')}\r\n\r\nbody\r\n\r\n`)
      const expected = bytes.indexOf('\r\n\r\n') + 4
      for (let from = 0, length = 1; length <= bytes.length; from = length, length += 1) {
        const end = headEnd(bytes, length, from)
        if (end !== 0) return end === expected && length === expected
      }
      return false
    }),
  )
  t.end()
})

void t.test('no text makes the parser throw, and what it takes has a length', t => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc
      .array(fc.oneof(fc.constantFrom(...LINES, 'Connection: close', ''), fc.string()))
      .map(lines => head(undefined, lines)),
  )
  fc.assert(
    fc.property(text, input => {
      const parsed = parseHead(input)
      return parsed === undefined || Number.isSafeInteger(parsed.length)
    }),
    { numRuns: 500 },
  )
  t.end()
})
