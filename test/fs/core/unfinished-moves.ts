/** Renaming a directory that is interrupted at any request: nothing is lost, and doing it again finishes it. */
import t from 'tap'
import type { Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { createMemoryDriver } from '../../../src/driver/memory/driver.js'
import type { Ledger, LedgerEntry, Move } from '../../../src/fs/core/ledger.js'
import { UnfinishedMoves } from '../../../src/fs/core/unfinished-moves.js'
import type { Fault } from '../../../src/server/faults.js'
import { silentLogger } from '../../../src/util/log.js'
import { startDriverHarness } from '../../driver/bos/harness.js'
import { createCore } from '../../helpers/core.js'
import { CoreOs, O_RDONLY } from '../../helpers/core-os.js'
import { text } from '../../helpers/core-scene.js'

const NAMES = ['a', 'sub/b', 'sub/deep/c']

/** A ledger in memory. */
class Notes implements Ledger {
  readonly entries = new Map<string, LedgerEntry>()

  async record(entry: LedgerEntry): Promise<void> {
    this.entries.set(JSON.stringify(entry), entry)
  }

  strike(entry: LedgerEntry): void {
    this.entries.delete(JSON.stringify(entry))
  }

  get moves(): Move[] {
    return [...this.entries.values()].flatMap(entry =>
      entry.kind === 'move' ? [{ from: entry.from, to: entry.to }] : [],
    )
  }
}

function mount(driver: StorageDriver, ledger: Notes): CoreOs {
  const unfinishedMoves = ledger.moves
  return new CoreOs(createCore(driver, { ledger, unfinishedMoves, config: { metadataTtl: 0 } }))
}

async function filesBelow(driver: StorageDriver, path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for await (const { directories } of driver.entriesBelow(path)) {
    for (const { path: at, isDir } of directories.flatMap(({ entries }) => entries)) {
      if (!isDir) found[at.slice(path.length + 1)] = String(await driver.getContent(at))
    }
  }
  return found
}

const TREE = Object.fromEntries(NAMES.map(name => [name, `content of ${name}`]))

const FAULTS: readonly (readonly [string, Fault])[] = [
  ['is refused', { kind: 'error', status: 403, code: 'AccessDenied' }],
  ['breaks off after it took effect', { kind: 'drop-response' }],
]

for (const [what, fault] of FAULTS) {
  for (const isKilled of [false, true]) {
    const who = isKilled ? 'the next mount' : 'the same mount'
    void t.test(`a rename that ${what} at any request is finished by ${who}`, async t => {
      const harness = await startDriverHarness(t)
      const plain = await harness.driver()
      const impatient = await harness.driver(
        {},
        { retry: { attempts: 1, baseDelay: 1, maxDelay: 1 } },
      )
      let isHit = true
      // What another mount does differs only by what the ledger has told it.
      for (let skip = isKilled ? 1 : 0; isHit; skip += isKilled ? 4 : 1) {
        for (const [name, content] of Object.entries(TREE)) {
          await plain.putContent(`/from/${name}`, text(content))
        }
        isHit = await interrupt(t, { plain, impatient, isKilled }, () =>
          harness.server.faults.add({ skip, count: 1, fault }),
        )
        await plain.delete('/to')
      }
    })
  }
}

interface Drivers {
  readonly plain: StorageDriver
  readonly impatient: StorageDriver
  readonly isKilled: boolean
}

async function interrupt(
  t: Test,
  { plain, impatient, isKilled }: Drivers,
  inject: () => { readonly hits: number; remove(): void },
): Promise<boolean> {
  const ledger = new Notes()
  let os = mount(impatient, ledger)
  const file = await os.open('/from/sub/b', O_RDONLY)
  const active = inject()
  const failure = await os.rename('/from', '/to').catch((error: unknown) => error)
  const isHit = active.hits > 0
  active.remove()
  const [left, moved] = [await filesBelow(plain, '/from'), await filesBelow(plain, '/to')]
  t.same({ ...left, ...moved }, TREE, 'nothing is lost')
  t.same({ ...moved, ...left }, TREE, 'and nothing is changed')
  if (failure === undefined) {
    t.same(left, {}, 'success is whole')
    t.equal(String(await file.read(0, 100)), TREE['sub/b'])
  }
  await file.close()
  if (isKilled) {
    await os.fs.destroy()
    os = mount(impatient, ledger)
  }
  if (failure !== undefined) {
    t.ok(
      Object.keys(left).length === 0 || ledger.moves.length > 0 || Object.keys(moved).length === 0,
    )
    if (Object.keys(left).length > 0) await os.rename('/from', '/to')
  }
  t.same(await filesBelow(plain, '/to'), TREE, 'finished')
  t.same(await filesBelow(plain, '/from'), {})
  t.notOk(await os.exists('/from'))
  t.equal(String(await os.readFile('/to/sub/deep/c')), TREE['sub/deep/c'])
  await os.fs.destroy()
  return isHit
}

void t.test('a move is finished only if that loses nothing', async t => {
  const driver = createMemoryDriver()
  const ledger = new Notes()
  const moves = new UnfinishedMoves({ driver, ledger, log: silentLogger, moves: [] })
  const move = { from: '/a', to: '/b' }
  await driver.putContent('/a/same', text('same'))
  await driver.putContent('/b/same', text('same'))
  await driver.putContent('/b/moved', text('moved'))
  t.notOk(await moves.canFinish(move), 'it was never begun')
  await moves.begin(move)
  t.ok(await moves.canFinish(move))
  t.notOk(await moves.canFinish({ from: '/c', to: '/b' }))
  await driver.putContent('/b/same', text('else'))
  t.notOk(await moves.canFinish(move), 'somebody has changed what lies there')
  moves.finished(move)
  t.notOk(await moves.canFinish(move))
  t.same(ledger.moves, [])
})

void t.test('a directory that was never moved there keeps others from its name', async t => {
  const driver = createMemoryDriver()
  const os = mount(driver, new Notes())
  for (const path of ['/a/f', '/b/f']) await driver.putContent(path, text('same'))
  await t.rejects(os.rename('/a', '/b'), { code: 'ENOTEMPTY' })
  await os.fs.destroy()
})
