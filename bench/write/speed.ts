/** Rows whose figures are times, each beside the same bytes sent, or stored, without the mount. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { KiB, MiB } from '../../src/util/units.js'
import { PROGRAM } from '../../test/helpers/bosmount.js'
import { runOk } from '../../test/helpers/processes.js'
import { JOURNAL, type Line, type Row } from './row.js'
import { dd, inTurn, Writers, type Scene } from './scene.js'
import { median, parallel, seconds } from '../measure.js'

const DELAY = 20
const SMALL = 4 * KiB
/** Written before anything is measured: code is compiled, memory touched. */
const WARM_UP = 64 * MiB
/** Rounds of small files that are not measured, for the same reason. */
const WARM_UP_ROUNDS = 3

async function stream(scene: Scene): Promise<readonly Line[]> {
  const { bare, sizes } = scene
  const { size, rounds } = sizes
  return await scene.mounted([], async mount => {
    await dd(join(mount.path, 'warm-up'), WARM_UP)
    await bare.upload('bare-warm-up', WARM_UP)
    const [value, against] = await inTurn(
      rounds,
      round => dd(join(mount.path, `big-${round}`), size),
      round => bare.upload(`bare-${round}`, size),
    )
    return [
      { what: `${size / MiB} MiB, close included`, value, against, unit: 's', goal: '>= 0.9' },
    ]
  })
}

/** In turn, and with the disk of the server at rest before each: what it still writes slows down the next. */
async function delay(scene: Scene): Promise<readonly Line[]> {
  const { size, rounds } = scene.sizes
  return await scene.mounted([], async mount => {
    const write = async (): Promise<number> => {
      const path = join(mount.path, 'written')
      await runOk('sync', [])
      const taken = await seconds(() => dd(path, size))
      await rm(path)
      return taken
    }
    await dd(join(mount.path, 'warm-up'), WARM_UP)
    const [plain, delayed]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds; round += 1) {
      plain.push(await write())
      delayed.push(await scene.delayed(DELAY, write))
    }
    const what = `${size / MiB} MiB, ${DELAY} ms per request, against without`
    const [value, against] = [median(delayed), median(plain)]
    return [{ what, value, against, unit: 's', goal: '>= 0.85' }]
  })
}

function small(writers: number): (scene: Scene) => Promise<readonly Line[]> {
  return async scene => {
    const { bare, sizes } = scene
    const { files, rounds } = sizes
    const data = randomBytes(SMALL)
    return await scene.mounted([], async (mount, owner) => {
      const programs = new Writers(owner, writers)
      const write = async (round: string): Promise<void> => {
        const folder = join(mount.path, `small-${writers}-${round}`)
        await mkdir(folder)
        await programs.write({ folder, count: files, size: SMALL, sync: false })
      }
      const send = (round: string): Promise<void> =>
        parallel(files, writers, i => bare.put(`bare-${writers}-${round}/${i}`, data))
      await inTurn(
        WARM_UP_ROUNDS,
        round => write(`warm-up-${round}`),
        round => send(`warm-up-${round}`),
      )
      const [value, against] = await inTurn(
        rounds,
        round => write(String(round)),
        round => send(String(round)),
      )
      const what = `${files} files of 4 KiB, ${writers} at a time`
      return [{ what, value, against, unit: 's', goal: '>= 0.8' }]
    })
  }
}

async function smallJournal(scene: Scene): Promise<readonly Line[]> {
  const { files, rounds } = scene.sizes
  const local = join(scene.folder, 'local-small')
  mkdirSync(local)
  return await scene.mounted(JOURNAL, async (mount, owner) => {
    const programs = new Writers(owner, 1)
    const write = async (folder: string, sync: boolean): Promise<void> => {
      await mkdir(folder)
      await programs.write({ folder, count: files, size: SMALL, sync })
    }
    const here = (round: number): Promise<void> => write(join(mount.path, `here-${round}`), false)
    const there = (round: number): Promise<void> => write(join(local, String(round)), true)
    for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await here(-1 - round)
    // What is sent after an earlier round is not what confirms the files of this one.
    const drain = (): Promise<unknown> => runOk(process.execPath, [PROGRAM, 'sync', mount.path])
    const [value, against] = await inTurn(rounds, here, there, drain)
    const what = `${files} files of 4 KiB, journal, against fsync on the local disk`
    return [{ what, value, against, unit: 's', goal: '>= 0.5' }]
  })
}

export const SPEED: readonly Row[] = [
  { name: 'stream', run: stream },
  { name: 'delay', run: delay },
  { name: 'small-1', run: small(1) },
  { name: 'small-16', run: small(16) },
  { name: 'small-journal', needs: 'durability', run: smallJournal },
]
