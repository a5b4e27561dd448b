import t from 'tap'
import { nearest } from '../../src/util/nearest.js'

void t.test('the near word is found, a far one is not', async t => {
  const known = ['accesskeyid', 'accesskeysecret', 'bucket', 'chunksize', 'bj']
  t.equal(nearest('bukcet', known), 'bucket')
  t.equal(nearest('AccessKey_Id', known), 'accesskeyid')
  t.equal(nearest('chunk-size', known), 'chunksize')
  t.equal(nearest('bjj', known), 'bj')
  t.equal(nearest('colour', known), undefined)
  t.equal(nearest('bucket', []), undefined)
})
