/**
 * kill -9 of the mount, of the server, or of both, in the middle of things: whatever was confirmed is
 * there, byte for byte; of the step that was not, all or nothing; and nothing is left behind. Some kills
 * here; many by `npm run test:crash`, with CRASH_KILLS, CRASH_SEED and CRASH_DURABILITY (`bos` or `journal`)
 * in the environment. Confirmed is what the mode promises: by BOS, or by the journal. With the local disk
 * full all of it holds but for what is left behind: there is no room to note it. A journal's disk is full
 * now and then, or nothing could be confirmed at all; a mount that lives on while its server is killed has
 * room again before or after the server is back, and whoever waited for either goes on.
 */
import { mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MiB } from '../../src/util/units.js'
import { environment, MountedBucket, startServer, startSuccessor } from '../helpers/bosmount.js'
import type { MountOptions, Server } from '../helpers/bosmount.js'
import { bucketContents } from '../helpers/bucket.js'
import { noFullDisk, SmallDisk } from '../helpers/full-disk.js'
import { explainLeft, leftBehind } from '../helpers/left-behind.js'
import { Cleanup } from '../helpers/owner.js'
import { isMounted, scratchFolder } from '../helpers/scratch.js'
import { fingerprint } from '../helpers/tree.js'
import { chooseStep, closing, foldersOf, type State } from './crash-model.js'

const KILLS = Number(process.env['CRASH_KILLS'] ?? 10)
const SEED = Number(process.env['CRASH_SEED'] ?? 20_240_501)
const WRITERS = 3
/** Longest time from the first step to the kill. */
const LONGEST = 500
/** How long writers go on when only the server was killed and is back. */
const AFTERWARDS = 200
/** Until a step that is under way has ended, with a server and room: shorter than a journal has patience. */
const ENDED_WITHIN = 100_000
/** From the start of a mount. */
const REMOVED_WITHIN = 30_000
const LIMIT = 60_000 + KILLS * 10_000

const VICTIMS = ['mount', 'mount', 'server', 'both'] as const
/** While a journal's disk is full, the server alone is killed in long runs only. */
const VICTIMS_OF_FULL =
  process.env['CRASH_KILLS'] === undefined ? (['mount', 'both'] as const) : VICTIMS
/** Steps that the report of a failure repeats. */
const REPORTED = 40

interface Writer {
  readonly name: string
  readonly random: () => number
  /** What is confirmed. */
  state: State
  /** What may be there instead, after the step that was not confirmed. */
  outcomes: readonly State[]
  step: string
  /** What it has done lately, for the report. */
  readonly history: string[]
  /** What ended its last round, for the report. */
  error: unknown
}

t.setTimeout(LIMIT)

const MODES = ['bos', 'journal'] as const
type Mode = (typeof MODES)[number]

interface Variant {
  readonly mode: Mode
  readonly kills: number
  /** Where everything lies that is kept locally. */
  readonly disk?: SmallDisk
  /** It is full only from some time before each kill until the mount, or what it lacks, has come back. */
  readonly isFullNowAndThen?: boolean
}
const CHOSEN = process.env['CRASH_DURABILITY']
/** What a journal leaves free on its disk, and some room. */
const JOURNAL_DISK = 64 * MiB + 40 * MiB

for (const mode of MODES.filter(isChosen)) {
  void t.test(`after kill -9 what was confirmed is there, and nothing else: ${mode}`, async t => {
    t.setTimeout(LIMIT)
    t.comment(`seed ${SEED}, ${KILLS} kills`)
    await crash(t, scratchFolder(t), { mode, kills: KILLS })
  })
}

for (const mode of MODES.filter(isChosen)) {
  const skip = noFullDisk ?? false
  const name = `with a full disk what was confirmed is there after kill -9: ${mode}`
  void t.test(name, { skip }, async t => {
    t.setTimeout(LIMIT)
    const kills = Math.ceil(KILLS / 2)
    t.comment(`seed ${SEED}, ${kills} kills`)
    const folder = scratchFolder(t)
    const isFullNowAndThen = mode === 'journal'
    const size = isFullNowAndThen ? JOURNAL_DISK : MiB
    const disk = await SmallDisk.make(t, join(folder, 'disk'), size)
    await mkdir(join(disk.path, 'state'))
    if (!isFullNowAndThen) disk.fill()
    await crash(t, folder, { mode, kills, disk, isFullNowAndThen })
  })
}

function isChosen(mode: Mode): boolean {
  return CHOSEN === undefined || CHOSEN === mode
}

async function crash(t: Test, folder: string, variant: Variant): Promise<void> {
  const { kills } = variant
  const squeezed = variant.isFullNowAndThen === true ? variant.disk : undefined
  const random = randomFrom(SEED)
  const mountpoint = join(folder, 'mount')
  const writers = Array.from({ length: WRITERS }, (_, i): Writer => {
    const own = randomFrom(SEED + (i + 1) * 7919)
    const blank = { state: new Map(), outcomes: [], step: 'none', error: undefined, history: [] }
    return { name: `w${i}`, random: own, ...blank }
  })
  // What was killed needs no cleaning up at the end of the test.
  let owner = new Cleanup()
  t.teardown(() => owner.finish())
  let server = await startServer(owner, folder)
  const options = (): MountOptions => mountOptions(server, mountpoint, variant)
  let mount = await MountedBucket.mount(owner, options())
  const state = join(folder, 'state')
  await prepare(mountpoint, writers)
  let confirmed = 0
  let round = 0
  for (const victim of deal(squeezed === undefined ? VICTIMS : VICTIMS_OF_FULL, random)) {
    if (round === kills) break
    round += 1
    const isRoomFirst = random() < 0.5
    const successor = victim === 'mount' ? undefined : startSuccessor(owner, folder, server)
    const stop = { asked: false }
    const playing = Promise.all(writers.map(writer => play(mountpoint, writer, stop)))
    await delay(Math.floor(random() * LONGEST))
    if (squeezed !== undefined) {
      squeezed.fill()
      await delay(Math.floor(random() * LONGEST))
    }
    if (successor !== undefined) {
      await server.process.stop('SIGKILL')
      if (victim === 'both') await mount.kill()
      else if (isRoomFirst) squeezed?.free()
      server = await successor
      if (victim === 'server') {
        await delay(AFTERWARDS)
        squeezed?.free()
      }
    } else await mount.kill()
    stop.asked = true
    confirmed += await ended(playing, writers)
    if (victim !== 'server') {
      t.notOk(isMounted(mountpoint), 'the mount point is free')
      mount = await MountedBucket.mount(owner, options())
      if (variant.disk === undefined) await checkNothingLeft(t, server, state)
    }
    for (const writer of writers) await settle(t, mountpoint, { writer, victim, round })
    squeezed?.free()
  }
  t.ok(confirmed > kills, `${confirmed} steps were confirmed`)
  t.equal(await mount.unmount(), 0, mount.process.output)
  if (variant.disk === undefined) await checkNothingLeft(t, server, state)
  await checkBucket(t, server, writers)
  const last = owner
  owner = new Cleanup()
  await last.finish()
}

function mountOptions(server: Server, mountpoint: string, { mode, disk }: Variant): MountOptions {
  // The smallest parts, so that uploads are under way, and no longer delay than a round.
  const args = ['--chunksize', '5MB', '--durability', mode, '--journal-delay', '200ms']
  if (disk === undefined) return { server, mountpoint, args }
  const env = environment({ XDG_STATE_HOME: join(disk.path, 'state') })
  return { server, mountpoint, args: [...args, '--staging-dir', disk.path], env }
}

/** What the mount has shown is what the bucket has. */
async function checkBucket(t: Test, server: Server, writers: readonly Writer[]): Promise<void> {
  const owner = new Cleanup()
  try {
    const found = await bucketContents(owner, server)
    const wanted = writers.flatMap(({ state }) =>
      [...state].map(([path, content]) => [`/${path}`, fingerprint(content)] as const),
    )
    const files = Object.entries(found).filter(([path]) => !path.endsWith('/'))
    t.same(Object.fromEntries(files), Object.fromEntries(wanted), 'the bucket has it')
  } finally {
    await owner.finish()
  }
}

/** Directories that stay, however empty. */
async function prepare(root: string, writers: readonly Writer[]): Promise<void> {
  for (const folder of writers.flatMap(({ name }) => foldersOf(name))) {
    await mkdir(join(root, folder))
    const directory = await open(join(root, folder), 'r')
    await directory.sync()
    await directory.close()
  }
}

/** Takes one step after the other until one fails. @returns how many were confirmed */
async function play(root: string, writer: Writer, stop: { asked: boolean }): Promise<number> {
  const reached = (state: State): void => {
    writer.state = state
  }
  for (let count = 0; ; count += 1) {
    if (stop.asked) return count
    const step = chooseStep(writer.state, writer.name, writer.random)
    writer.step = step.name
    writer.history.push(step.name)
    writer.outcomes = step.outcomes
    try {
      await step.run(root, reached)
    } catch (error) {
      writer.error = error
      writer.history.push(String(error))
      return count
    }
    writer.outcomes = []
  }
}

/** @returns how many steps were confirmed. @throws Error that says who is still at it when time is up */
async function ended(playing: Promise<readonly number[]>, writers: readonly Writer[]) {
  const timer = new AbortController()
  const late = delay(ENDED_WITHIN, undefined, timer).catch(() => undefined)
  const counts = await Promise.race([playing, late])
  timer.abort()
  if (counts !== undefined) return counts.reduce((sum, count) => sum + count, 0)
  const steps = writers.map(({ name, step, error }) => `${name}: ${step}, ${String(error)}`)
  throw new Error(`steps take over ${ENDED_WITHIN} ms:\n${steps.join('\n')}`)
}

interface Settling {
  readonly writer: Writer
  readonly victim: string
  readonly round: number
}

/** Finds out which of the possible states a writer's files are in. */
async function settle(t: Test, root: string, { writer, victim, round }: Settling): Promise<void> {
  const found = await readState(root, writer)
  const { state, outcomes, step, error } = writer
  writer.outcomes = []
  const isRefused = (error as NodeJS.ErrnoException | undefined)?.code === 'ENOSPC'
  const isExpected = [state, ...outcomes].some(each => isSame(each, found))
  if (isExpected || (isRefused && isCutShort(found, state, outcomes))) {
    writer.history.push(`round ${round}, kill of ${victim}`)
    writer.state = found
    return
  }
  t.fail(`round ${round}, kill of ${victim}: neither the old state nor a new one`, {
    step,
    history: writer.history.slice(-REPORTED),
    error: String(error),
    found: describe(found),
    wanted: [state, ...outcomes].map(describe),
  })
  throw new Error('the state is lost')
}

async function readState(root: string, { name }: Writer): Promise<State> {
  const found = new Map<string, Buffer>()
  for (const folder of foldersOf(name)) {
    for (const file of await readdir(join(root, folder))) {
      const content = await readConfirmed(join(root, folder, file))
      if (content !== undefined) found.set(`${folder}/${file}`, content)
    }
  }
  return found
}

/**
 * The content of a file, confirmed: what a failed close has left is visible until the mount gives up storing
 * it. What was on its way when its mount was killed may arrive while the file is being read, which is told.
 */
async function readConfirmed(path: string, tries = 5): Promise<Buffer | undefined> {
  try {
    const file = await open(path, 'r')
    return await closing(file, async () => {
      await file.sync()
      return await file.readFile()
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (tries === 1) throw error
    return await readConfirmed(path, tries - 1)
  }
}

/**
 * No unfinished upload, and no object that the mount does not show. The mount removes them when it has begun
 * to answer; of what may be another host's it makes sure first.
 */
async function checkNothingLeft(t: Test, server: Server, state: string): Promise<void> {
  let left = await leftBehind(server)
  for (const end = Date.now() + REMOVED_WITHIN; left.length > 0 && Date.now() < end;) {
    await delay(100)
    left = await leftBehind(server)
  }
  const reports = left.map(each => explainLeft(each, server, state))
  t.same(reports, [], 'nothing is left behind')
}

/**
 * Whether all is as after a step but for the end of one file: for what came before a write that found no
 * space, a close that succeeds counts. What was there before an append is there still.
 */
function isCutShort(found: State, state: State, outcomes: readonly State[]): boolean {
  return outcomes.some(outcome => {
    const paths = new Set([...found.keys(), ...outcome.keys()])
    const other = [...paths].filter(path => !isEqual(found.get(path), outcome.get(path)))
    const [path = ''] = other
    const [part, whole, before] = [found.get(path), outcome.get(path), state.get(path)]
    if (other.length !== 1 || part === undefined || whole === undefined) return false
    const isAppended = before !== undefined && startsWith(whole, before)
    return startsWith(whole, part) && (!isAppended || part.length >= before.length)
  })
}

function isEqual(one: Buffer | undefined, another: Buffer | undefined): boolean {
  return one === undefined || another === undefined ? one === another : one.equals(another)
}

function startsWith(whole: Buffer, part: Buffer): boolean {
  return whole.subarray(0, part.length).equals(part)
}

function isSame(one: State, other: State): boolean {
  if (one.size !== other.size) return false
  return [...one].every(([path, content]) => other.get(path)?.equals(content) === true)
}

function describe(state: State): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...state].map(([path, content]) => [
      path,
      `${content.length} bytes, ${content.subarray(0, 8).toString('hex')}`,
    ]),
  )
}

/** All of them in random order, again and again. */
function* deal<Card>(cards: readonly Card[], random: () => number): Generator<Card> {
  for (let left = [...cards]; ; left = [...cards]) {
    while (left.length > 0) yield* left.splice(Math.floor(random() * left.length), 1)
  }
}

/** Numbers in [0, 1), the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
