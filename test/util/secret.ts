import { format, inspect } from 'node:util'
import t from 'tap'
import { Secret } from '../../src/util/secret.js'

void t.test('a secret is seen by nobody but who asks for it', async t => {
  const secret = new Secret('hunter2')
  const views = [
    String(secret),
    JSON.stringify({ secret }),
    inspect({ secret }, { showHidden: true, depth: 5 }),
    format('%s %o %j', secret, secret, secret),
  ]
  for (const view of views) {
    t.notMatch(view, 'hunter2')
    t.match(view, /\[secret\]/)
  }
  t.equal(secret.reveal(), 'hunter2')
})
