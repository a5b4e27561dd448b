/** What killed mounts left behind is removed, and nothing that belongs to one that lives. */
import { readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import { openLedger, recover } from '../../src/ledger/recovery.js'
import { silentLogger } from '../../src/util/log.js'
import { ownIdentity } from '../../src/util/process-identity.js'
import type { ProcessIdentity } from '../../src/util/process-identity.js'
import { watched } from '../helpers/watched-driver.js'
import { scratchFolder } from '../helpers/scratch.js'

const HIDDEN = '/.bosmount/unlinked/1'

interface Stage {
  readonly directory: string
  readonly driver: StorageDriver
  readonly self: ProcessIdentity
  /** Writes a ledger of such a mount, about an object and an upload that are in the store. */
  readonly leave: (owner: Partial<ProcessIdentity>, store?: string) => Promise<string>
  readonly recover: (through?: StorageDriver) => Promise<void>
  readonly isLeft: () => Promise<boolean>
}

async function setStage(t: Test): Promise<Stage> {
  const directory = scratchFolder(t)
  const driver = createMemoryDriver()
  const self = await ownIdentity()
  const uploads = async (): Promise<string[]> => {
    const found = []
    for await (const { path } of driver.uploads('/')) found.push(path)
    return found
  }
  return {
    directory,
    driver,
    self,
    leave: async (owner, store = 'store') => {
      await driver.putContent(HIDDEN, Buffer.from('hidden'))
      const { uploadId } = await driver.compose('/big')
      const file = join(directory, 'some.ledger')
      const lines = [
        JSON.stringify({ version: 1, store, owner: { ...self, ...owner } }),
        `+${JSON.stringify({ kind: 'object', path: HIDDEN })}`,
        `+${JSON.stringify({ kind: 'upload', path: '/big', uploadId })}`,
        '',
      ]
      writeFileSync(file, lines.join('\n'))
      return file
    },
    recover: (through = driver) => {
      const { signal } = new AbortController()
      const store = { directory, store: 'store', driver: through }
      return recover({ ...store, self, log: silentLogger, signal }, async () => undefined)
    },
    isLeft: async () => {
      const object = await driver.getContent(HIDDEN).catch(() => undefined)
      const left = (await uploads()).length > 0
      t.equal(object !== undefined, left, 'both or none')
      return left
    },
  }
}

const DEAD: readonly (readonly [string, Partial<ProcessIdentity>])[] = [
  ['a process that is gone', { pid: 2 ** 22 + 1 }],
  ['another process with its number', { started: '1' }],
  ['one of before the machine was started anew', { boot: 'another' }],
]

void t.test(
  'a name that a mount owed its content gets it back, and nothing is replaced',
  async t => {
    const { directory, driver, self, recover } = await setStage(t)
    const contents = async (path: string): Promise<string> =>
      driver.getContent(path).then(String, () => '')
    await driver.putContent(HIDDEN, Buffer.from('free'))
    await driver.putContent(`${HIDDEN}1`, Buffer.from('taken'))
    await driver.putContent('/taken', Buffer.from('another'))
    const entries = [
      { kind: 'object', path: HIDDEN },
      { kind: 'return', path: HIDDEN, to: '/free' },
      { kind: 'return', path: `${HIDDEN}1`, to: '/taken' },
      { kind: 'return', path: `${HIDDEN}2`, to: '/never-moved' },
    ]
    const header = { version: 1, store: 'store', owner: { ...self, pid: 2 ** 22 + 1 } }
    const lines = [JSON.stringify(header), ...entries.map(entry => `+${JSON.stringify(entry)}`), '']
    writeFileSync(join(directory, 'some.ledger'), lines.join('\n'))
    await recover()
    t.equal(await contents('/free'), 'free')
    t.equal(await contents('/taken'), 'another')
    t.equal(await contents('/never-moved'), '')
    t.equal(await contents(HIDDEN), '')
    t.equal(await contents(`${HIDDEN}1`), '')
    t.same(readdirSync(directory), [])
  },
)

for (const [who, owner] of DEAD) {
  void t.test(`what ${who} left is removed, and its ledger`, async t => {
    const stage = await setStage(t)
    await stage.leave(owner)
    t.ok(await stage.isLeft())
    await stage.recover()
    t.notOk(await stage.isLeft())
    t.same(readdirSync(stage.directory), [])
  })
}

void t.test('an upload whose id a mount did not live to learn is found and aborted', async t => {
  const { directory, driver, self, recover } = await setStage(t)
  await driver.compose('/file')
  const other = await driver.compose('/file-of-another')
  const filled = await driver.compose('/file')
  await filled.uploadPart(1, [Buffer.from('of a mount that lives')])
  const write = (at: number): void => {
    const header = { version: 1, store: 'store', owner: { ...self, pid: 2 ** 22 + 1 } }
    const entry = { kind: 'begun', path: '/file', at }
    writeFileSync(
      join(directory, 'some.ledger'),
      `${JSON.stringify(header)}\n+${JSON.stringify(entry)}\n`,
    )
  }
  const uploads = async (): Promise<readonly string[]> => {
    const paths = []
    for await (const { path } of driver.uploads('/')) paths.push(path)
    return paths.toSorted()
  }
  write(Date.now() - 3_600_000)
  await recover()
  t.same(await uploads(), ['/file', '/file', '/file-of-another'], 'it was begun at another time')
  write(Date.now())
  await recover()
  t.same(await uploads(), ['/file', other.path], 'what has a part is of another mount')
})

const OTHERS: readonly (readonly [string, Partial<ProcessIdentity>])[] = [
  ['a mount that lives', {}],
  ['a mount in another container', { namespace: 'another' }],
  ['a mount on another host', { host: 'another', boot: 'another' }],
]

for (const [whose, owner] of OTHERS) {
  void t.test(`nothing is removed of ${whose}`, async t => {
    const stage = await setStage(t)
    await stage.leave(owner)
    await stage.recover()
    t.ok(await stage.isLeft())
    t.same(readdirSync(stage.directory), ['some.ledger'])
  })
}

void t.test('a mount that cannot be seen is dead when it has been silent for long', async t => {
  const stage = await setStage(t)
  const file = await stage.leave({ namespace: 'another' })
  const before = Date.now() / 1000 - 2 * 3600
  utimesSync(file, before, before)
  await stage.recover()
  t.notOk(await stage.isLeft())
})

void t.test('nothing is removed of mounts of another store', async t => {
  const stage = await setStage(t)
  await stage.leave({ pid: 2 ** 22 + 1 }, 'another store')
  await stage.recover()
  t.ok(await stage.isLeft())
})

void t.test('what cannot be removed now stays in the ledger', async t => {
  const stage = await setStage(t)
  await stage.leave({ pid: 2 ** 22 + 1 })
  const { driver } = stage
  const broken = watched(driver)
  broken.before = () => Promise.reject(new Error('no'))
  await stage.recover(broken.driver)
  t.same(readdirSync(stage.directory), ['some.ledger'])
  await stage.recover()
  t.notOk(await stage.isLeft())
})

void t.test('files that are no ledgers are left alone', async t => {
  const stage = await setStage(t)
  writeFileSync(join(stage.directory, 'notes'), 'text')
  writeFileSync(join(stage.directory, 'odd.ledger'), 'text')
  await stage.recover()
  t.same(readdirSync(stage.directory), ['notes', 'odd.ledger'])
})

void t.test('a new ledger is opened where one was recovered', async t => {
  const stage = await setStage(t)
  await stage.leave({ started: '1' })
  const { directory, driver } = stage
  const opened = await openLedger({ directory, store: 'store', driver, log: silentLogger })
  const ledger = opened?.ledger
  t.same(opened?.unfinishedMoves, [])
  t.notOk(await stage.isLeft())
  await ledger?.record({ kind: 'object', path: HIDDEN })
  t.equal(readdirSync(directory).length, 1)
  ledger?.strike({ kind: 'object', path: HIDDEN })
  await ledger?.close()
  t.same(readdirSync(directory), [])
  t.equal(
    await openLedger({ directory: undefined, store: '', driver, log: silentLogger }),
    undefined,
  )
})

void t.test('what a killed mount was moving is handed from ledger to ledger', async t => {
  const { directory, driver, self } = await setStage(t)
  const begin = { directory, store: 'store', driver, log: silentLogger }
  const owner = { ...self, started: '1' }
  const moves = [
    { kind: 'move', from: '/half', to: '/there' },
    { kind: 'move', from: '/whole', to: '/elsewhere' },
  ]
  const lines = [{ version: 1, store: 'store', owner }, ...moves].map(line => JSON.stringify(line))
  writeFileSync(join(directory, 'some.ledger'), lines.join('\n+') + '\n')
  await driver.putContent('/half/left', Buffer.from('left'))
  const opened = await openLedger(begin)
  t.same(opened?.unfinishedMoves, [{ from: '/half', to: '/there' }], 'nothing is left of the other')
  t.equal(readdirSync(directory).length, 1)
  await opened?.ledger.close()
  t.equal(readdirSync(directory).length, 1, 'it is still unfinished')
  opened?.ledger.strike({ kind: 'move', from: '/half', to: '/there' })
})
