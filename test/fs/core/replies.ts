/** For how long the kernel is told to believe what was seen. */
import { ROOT_INO } from '../../../src/fs/operations.js'
import { scene } from '../../helpers/core-scene.js'

const TTL = 1000
/** What the still clock moves while it is looked at. */
const MOMENT = 0.001

scene(
  'what was seen is believed by the kernel for what is left of its time',
  async ({ t, os, bucket, time }) => {
    await bucket.putContent('/d/file', Buffer.from('x'))
    const { ino } = await os.lookup('/d')
    const left = async (parent: typeof ino, name: string): Promise<number> => {
      const entry = await os.fs.lookup(os.context, parent, name)
      if (entry.ino !== undefined) os.fs.forget(entry.ino, 1)
      return entry.entryValid
    }
    const things = [
      ['a file', ino, 'file'],
      ['a directory', ROOT_INO, 'd'],
      ['an absent name', ino, 'other'],
    ] as const
    for (const [, parent, name] of things) await left(parent, name)
    for (const wait of [300, 600]) {
      await time.pass(wait)
      const expected = (TTL - time.now) / 1000
      for (const [what, parent, name] of things) {
        const valid = await left(parent, name)
        t.ok(Math.abs(valid - expected) < MOMENT, `${what}: ${valid} s instead of ${expected}`)
      }
    }
    os.fs.forget(ino, 1)
  },
  { isStill: true, config: { metadataTtl: TTL } },
)

scene(
  'a directory that only this mount knows is believed in full, and so are names that it lacks',
  async ({ t, os, time }) => {
    await os.mkdir('/made')
    const made = await os.lookup('/made')
    await time.pass(10)
    t.equal((await os.fs.lookup(os.context, made.ino, 'none')).entryValid, TTL / 1000)
    const again = await os.lookup('/made')
    t.equal(again.entryValid, TTL / 1000)
    os.fs.forget(made.ino, 2)
  },
  { isStill: true, config: { metadataTtl: TTL } },
)
