/** The end of a mount: all that could not be stored is named. */
import t from 'tap'
import type { CoreConfig } from '../../../src/fs/core/core.js'
import { UnsavedError } from '../../../src/fs/core/unsaved.js'
import { AccessDeniedError } from '../../../src/driver/errors.js'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs, O_CREAT, O_RDWR, O_WRONLY } from '../../helpers/core-os.js'
import type { OpenFile } from '../../helpers/core-os.js'
import { scene, text, turns } from '../../helpers/core-scene.js'
import { StillTime } from '../../helpers/still-time.js'
import { watched } from '../../helpers/watched-driver.js'
import type { Watched } from '../../helpers/watched-driver.js'

function breakDown(watch: Watched): void {
  watch.requests.length = 0
  watch.before = () => {
    throw new Error('no answer')
  }
}

/** What a mount says at its end. */
async function endOf(os: CoreOs): Promise<UnsavedError | undefined> {
  const error: unknown = await os.fs.destroy().catch((failure: unknown) => failure)
  return error instanceof UnsavedError ? error : undefined
}

async function release({ fs, context }: CoreOs, { handle }: OpenFile): Promise<void> {
  await fs.release(context, handle.ino, handle.fh)
  fs.forget(handle.ino, 1)
}

function mounted(config: Partial<CoreConfig> = {}) {
  const bucket = createMemoryDriver()
  const watch = watched(bucket)
  const time = new StillTime()
  const { monotonic, later } = time
  const os = new CoreOs(createCore(watch.driver, { config, monotonic, later }))
  return { bucket, watch, time, os }
}

void t.test(
  'files, directories, attributes and deletions that are not stored are named',
  async t => {
    const { os, watch } = mounted({ attributes: 'stored' })
    await os.writeFile('/clean', text('clean'))
    for (let i = 0; i < 8; i += 1) await os.writeFile(`/old${i}`, text('old'))
    const file = await os.open('/dirty', O_WRONLY | O_CREAT)
    await file.write(0, text('dirty'))
    await os.mkdir('/empty')
    const { ino } = await os.lookup('/clean')
    await os.fs.setattr(os.context, ino, { mode: 0o600 })
    for (let i = 0; i < 8; i += 1) await os.unlink(`/old${i}`)
    breakDown(watch)
    const end = await endOf(os)
    const names = end?.unsaved.map(({ name }) => name) ?? []
    t.same(names.toSorted(), [
      '/clean (attributes)',
      '/dirty',
      '/empty/',
      ...[4, 5, 6, 7].map(i => `/old${i} (not deleted)`),
    ])
    t.equal(end?.code, 'EIO')
    for (const name of names) t.ok(end?.message.includes(name), name)
  },
)

void t.test('a file that was dropped when its last handle went is named at the end', async t => {
  const { os, watch } = mounted()
  const lost = await os.open('/lost', O_RDWR | O_CREAT)
  const told = await os.open('/told', O_RDWR | O_CREAT)
  const saved = await os.open('/saved', O_RDWR | O_CREAT)
  for (const file of [lost, told, saved]) await file.write(0, text('content'))
  breakDown(watch)
  // As of a process that was killed: release, and no flush before.
  await release(os, lost)
  await t.rejects(told.close())
  await release(os, saved)
  watch.before = () => undefined
  await os.writeFile('/saved', text('at last'))
  const end = await endOf(os)
  t.same(
    end?.unsaved.map(({ name }) => name),
    ['/lost'],
  )
})

void t.test('the message names a few of many, and counts the others', async t => {
  const { os, watch } = mounted()
  for (let i = 0; i < 50; i += 1) await os.mkdir(`/d${i}`)
  breakDown(watch)
  const end = await endOf(os)
  t.equal(end?.unsaved.length, 50)
  t.match(end?.message, /^EIO: \/d\d+\/, (.*, ){18}\/d\d+\/ and 30 more: no answer$/)
  t.ok(watch.count() < 50, `a store that does not answer is not asked for each: ${watch.count()}`)
})

void t.test('a store that refuses is asked for each', async t => {
  const { os, watch } = mounted()
  for (let i = 0; i < 50; i += 1) await os.mkdir(`/d${i}`)
  watch.before = ({ path }) => {
    if (path !== '/d49') throw new AccessDeniedError('refused', { driver: 'memory', path })
  }
  const end = await endOf(os)
  t.equal(end?.unsaved.length, 49)
  t.equal(end?.code, 'EACCES')
})

scene('syncfs stores many files at once', async ({ t, os, watch, bucket }) => {
  const files = []
  for (let i = 0; i < 40; i += 1) files.push(await os.open(`/f${i}`, O_WRONLY | O_CREAT))
  for (const file of files) await file.write(0, text('content'))
  let [running, most] = [0, 0]
  watch.before = async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise(resolve => setImmediate(resolve))
    running -= 1
  }
  await os.fs.syncfs(os.context)
  t.ok(most > 1 && most <= 16, `${most} at once`)
  for (let i = 0; i < 40; i += 1) t.equal(String(await bucket.getContent(`/f${i}`)), 'content')
  for (const file of files) await file.close()
})

void t.test(
  'a store that hangs is asked for each thing once, and for nothing afterwards',
  async t => {
    const { os, watch, time } = mounted({ attributes: 'stored', markerDelay: 20 })
    await os.writeFile('/old', text('old'))
    await os.writeFile('/changed', text('changed'))
    const held = await os.open('/old', O_RDWR)
    await os.unlink('/old')
    const { ino } = await os.lookup('/changed')
    let give: (error: Error) => void = () => undefined
    const late = new Promise<never>((_, reject) => (give = reject))
    late.catch(() => undefined)
    watch.before = () => late
    await os.mkdir('/empty')
    await os.fs.setattr(os.context, ino, { mode: 0o600 })
    // Directories and attributes are being stored by themselves already.
    await time.pass(20)
    const file = await os.open('/new', O_WRONLY | O_CREAT)
    await file.write(0, text('x'))
    const ending = endOf(os)
    await turns(100)
    const asked = watch.count()
    give(new Error('no answer in time'))
    const names = (await ending)?.unsaved.map(({ name }) => name) ?? []
    t.same(names.toSorted(), ['/changed (attributes)', '/empty/', '/new'])
    t.equal(watch.count(), asked, 'nothing was tried again')
    for (const each of [held, file]) await release(os, each)
  },
)
