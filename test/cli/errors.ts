import t from 'tap'
import { CommandError, EXIT, exitCodeOf, explain } from '../../src/cli/errors.js'
import { ConfigError } from '../../src/config.js'
import { AccessDeniedError } from '../../src/driver/errors.js'
import { ErrnoError } from '../../src/util/errno.js'

void t.test('mistakes of the user have an exit code of their own', t => {
  const table: readonly (readonly [unknown, number])[] = [
    [new CommandError('no'), EXIT.failed],
    [new CommandError('no', EXIT.usage), EXIT.usage],
    [new ConfigError(['no']), EXIT.usage],
    [Object.assign(new Error('no'), { code: 'PARAMETERS' }), EXIT.usage],
    [new AccessDeniedError('no'), EXIT.failed],
    [new ErrnoError('EBUSY', 'no'), EXIT.failed],
    [new TypeError('a bug'), EXIT.failed],
    ['a text', EXIT.failed],
    [undefined, EXIT.failed],
  ]
  for (const [error, code] of table) t.equal(exitCodeOf(error), code, String(error))
  t.end()
})

void t.test('an error is explained by its message and what its causes add', t => {
  const cause = new Error('connect ECONNREFUSED')
  t.equal(explain(new Error('cannot mount', { cause })), 'cannot mount: connect ECONNREFUSED')
  const repeated = new Error('cannot mount: connect ECONNREFUSED', { cause })
  t.equal(explain(repeated), 'cannot mount: connect ECONNREFUSED', 'nothing is said twice')
  t.equal(explain(new Error('alone')), 'alone')
  t.equal(explain('a text'), 'a text')
  t.end()
})

void t.test('a cause that leads back to itself comes to an end', t => {
  const error = new Error('round')
  error.cause = error
  t.equal(explain(error), 'round')
  t.end()
})
