import { createHash } from 'node:crypto'
import t from 'tap'
import { newMd5, RunningMd5s } from '../../src/server/running-md5.js'

const md5 = (text: string): string => createHash('md5').update(text).digest('hex')

void t.test('a hash goes on where it was, as often as it is asked for', async t => {
  const running = new RunningMd5s()
  t.equal(running.behind({ etag: md5('ab'), size: 2 }), undefined)
  t.equal(running.keep(newMd5().update('ab'), 2), md5('ab'))
  for (const more of ['c', 'd']) {
    const hash = running.behind({ etag: md5('ab'), size: 2 })
    t.equal(running.keep((hash ?? newMd5()).update(more), 3), md5(`ab${more}`))
  }
  t.equal(running.behind({ etag: md5('ab'), size: 3 }), undefined, 'of another size')
})

void t.test('only so many are kept, the latest', async t => {
  const running = new RunningMd5s()
  for (let i = 0; i < 1100; i++) running.keep(newMd5().update(`${i}`), 1)
  t.equal(running.behind({ etag: md5('0'), size: 1 }), undefined)
  t.ok(running.behind({ etag: md5('1099'), size: 1 }))
})
