import t from 'tap'
import { counted } from '../../src/util/plural.js'

void t.test('one of a kind is told in the singular', async t => {
  t.equal(counted(0, 'file'), '0 files')
  t.equal(counted(1, 'file'), '1 file')
  t.equal(counted(2, 'file'), '2 files')
  t.equal(counted(1, 'repository', 'repositories'), '1 repository')
  t.equal(counted(3, 'repository', 'repositories'), '3 repositories')
})
