import t from 'tap'
import { respell } from '../../src/cli/spellings.js'
import { STANDARD_INPUT } from '../../src/cli/files/standard-input.js'

void t.test('what other tools have taught is understood', t => {
  const table: readonly (readonly [string, string])[] = [
    ['version', '--version'],
    ['-V', '--version'],
    ['-v', '--version'],
    ['help', '--help'],
    ['help registry du', 'registry du --help'],
    ['help --json', '--help'],
    ['ls -h', 'ls -h'],
    ['ls -lh b/x', 'ls -lH b/x'],
    ['du -sh b', 'du -sH b'],
    ['du b -h', 'du b -H'],
    ['du --help', 'du --help'],
    ['rm -h x', 'rm -h x'],
    ['put - b/x', `put ${STANDARD_INPUT} b/x`],
    ['cat version', 'cat version'],
    ['', ''],
  ]
  for (const [typed, meant] of table) {
    const words = typed.split(' ').filter(word => word !== '')
    t.equal(respell(words).join(' '), meant, typed)
  }
  t.end()
})
