import t from 'tap'
import { goesPastPageCache } from '../../../src/fs/core/page-cache.js'
import { MiB } from '../../../src/util/units.js'

const large = { size: 32 * MiB, access: 'read', dirty: false } as const

void t.test('large files that are only read go past the page cache', t => {
  const today = { directMappings: true }
  t.ok(goesPastPageCache(large, today))
  t.notOk(goesPastPageCache({ ...large, size: 32 * MiB - 1 }, today), 'a smaller one')
  t.notOk(goesPastPageCache({ ...large, access: undefined }, today), 'one that may be written')
  t.notOk(goesPastPageCache({ ...large, dirty: true }, today), 'one that is being written')
  t.end()
})

void t.test('who can only write goes past the page cache', t => {
  const small = { size: 0, access: 'write', dirty: true } as const
  t.ok(goesPastPageCache(small, { directMappings: true }))
  t.notOk(goesPastPageCache(small, { directMappings: false }))
  t.end()
})

void t.test('no file does where it could then not be mapped', t => {
  t.notOk(goesPastPageCache(large, { directMappings: false }))
  t.end()
})
