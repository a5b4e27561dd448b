/** The log as people read it. */
import t from 'tap'
import { textOf } from '../../src/cli/log-text.js'

const line = (fields: object): string =>
  `${JSON.stringify({ level: 'warn', time: '2026-01-02T03:04:05.678Z', pid: 7, msg: 'it is slow', ...fields })}\n`

void t.test('a line tells time, level, sentence and fields', t => {
  t.equal(textOf(line({})), '03:04:05.678 WARN  it is slow\n')
  t.equal(
    textOf(line({ path: '/a/b', count: 3, of: { some: 'thing' }, empty: '' })),
    '03:04:05.678 WARN  it is slow path=/a/b count=3 of="{\\"some\\":\\"thing\\"}" empty=""\n',
  )
  t.equal(
    textOf(line({ err: { type: 'Error', message: 'connection refused', stack: 'at …' } })),
    '03:04:05.678 WARN  it is slow: connection refused\n',
    'without the stack, which the JSON has',
  )
  t.equal(textOf('no JSON\n'), 'no JSON\n')
  t.end()
})

void t.test('names of files cannot write lines or colours of their own', t => {
  const text = textOf(line({ path: '/a\n03:04:05.678 ERROR forged', msg: 'of \u001b[31m/b\nc' }))
  t.equal(text.split('\n').length, 2, text)
  t.notOk(text.includes('\u001b'))
  t.end()
})
