import t from 'tap'
import { describeJournal } from '../../src/cli/journal-text.js'

void t.test('a journal is told in words, and one of a kind in the singular', async t => {
  t.equal(describeJournal({}), undefined, 'a mount without a journal')
  t.equal(describeJournal({ journalFiles: 0 }), 'nothing in the journal')
  t.equal(
    describeJournal({ journalFiles: 1, journalBytes: 1024, journalOldestSeconds: 3 }),
    '1 file (1 KiB) in the journal, the oldest for 3 s',
  )
  t.equal(
    describeJournal({
      journalFiles: 2,
      journalBytes: 0,
      journalOldestSeconds: 0,
      journalConflictsTotal: 1,
    }),
    '2 files (0 bytes) in the journal, the oldest for 0 s, 1 conflict',
  )
})
