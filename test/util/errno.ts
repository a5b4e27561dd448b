import { constants } from 'node:os'
import t from 'tap'
import { ERRNO, ErrnoError } from '../../src/util/errno.js'

void t.test('numbers are those of the Linux kernel', t => {
  for (const [name, number] of Object.entries(ERRNO)) {
    const known = (constants.errno as Record<string, number>)[name]
    if (process.platform === 'linux' && known !== undefined) t.equal(number, known, name)
  }
  t.equal(new Set(Object.values(ERRNO)).size, Object.keys(ERRNO).length, 'none comes twice')
  t.end()
})

void t.test('an error says which errno it is, and why', t => {
  const cause = new Error('below')
  const error = new ErrnoError('ENOENT', '/a', { cause })
  t.match(error, { name: 'ErrnoError', code: 'ENOENT', errno: 2, message: 'ENOENT: /a', cause })
  t.end()
})
