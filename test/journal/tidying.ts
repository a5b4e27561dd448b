/** The log of a journal in which something stays for long. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Journal } from '../../src/journal/journal.js'
import { ANY } from '../../src/journal/record.js'
import { silentLogger } from '../../src/util/log.js'
import { MiB } from '../../src/util/units.js'
import { scratchFolder } from '../helpers/scratch.js'

void t.test('what stays for long does not keep the log from getting shorter', async t => {
  const folder = join(scratchFolder(t), 'journal')
  const options = { folder, store: 'bos://tests', size: MiB, fileSize: 1000, log: silentLogger }
  const journal = await Journal.open(options)
  const { path } = await journal.noteUpload('/left')
  const remove = async (key: string): Promise<void> => {
    const draft = { kind: 'delete', key, since: 0, changed: 0, base: ANY } as const
    await journal.locks.run([key], () => journal.change({ sets: [draft] }))
  }
  await remove('/stays')
  let most = 0
  for (let i = 0; i < 200; i += 1) {
    await remove(`/f${i}`)
    const entry = journal.overlay.entry(`/f${i}`)
    if (entry !== undefined) await journal.change({ removes: [entry] })
    const files = readdirSync(folder).filter(name => name.startsWith('log-'))
    most = Math.max(most, files.length)
  }
  t.ok(most > 5, 'it has got longer')
  t.ok(most < 20, `${most} files`)
  await journal.close()
  const again = await Journal.open(options)
  t.same(
    again.leftUploads.map(note => note.path),
    [path],
  )
  t.same(
    [...again.overlay.entries()].map(({ key }) => key),
    ['/stays'],
  )
  await again.close()
})
