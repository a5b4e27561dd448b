/**
 * A journaled driver against the memory driver: the same calls in turn, the same answers, while uploads
 * go on, fail and lose their answers in the background, and the process dies now and then. In the end
 * the store has exactly what the model has.
 *
 * A death is a copy of the journal's folder at some moment, opened by another driver over the same store;
 * of what the old one has under way nothing takes effect any more.
 *
 *     JOURNAL_SEED=1 JOURNAL_ROUNDS=100 node dist/test/property/journal.js
 */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import { DriverError } from '../../src/driver/errors.js'
import { createMemoryDriver } from '../../src/driver/memory/driver.js'
import type { JournaledDriver } from '../../src/journal/driver.js'
import { KiB, MiB } from '../../src/util/units.js'
import { bytes } from '../driver/helpers.js'
import { seededRandom, type Random } from '../fsx/random.js'
import { scratchFolder } from '../helpers/scratch.js'
import { lasting, openJournaled } from '../journal/subject.js'

const SEED = Number(process.env['JOURNAL_SEED'] ?? 20_260_101)
const ROUNDS = Number(process.env['JOURNAL_ROUNDS'] ?? 5)
const STEPS = 100

const SIZES = [0, 1, 3000, 70_000, 600 * KiB]
const NAMES = ['a', 'b', 'c']
const PART = 64 * KiB
const TOP = NAMES.map(name => `/${name}`)
const SECOND = TOP.flatMap(path => NAMES.map(name => `${path}/${name}`))
const PATHS = [...TOP, ...SECOND, ...SECOND.flatMap(path => NAMES.map(name => `${path}/${name}`))]

t.setTimeout(60_000 + ROUNDS * 20_000)

/** A store that a dead process reaches no more. */
class Weather {
  isDead = false
  isCalm = false
  readonly driver: StorageDriver
  readonly #random: Random

  constructor(store: StorageDriver, random: Random) {
    this.#random = random
    this.driver = this.#wrap(store)
  }

  #wrap<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (inner, property) => {
        const value: unknown = Reflect.get(inner, property, inner)
        if (typeof value !== 'function' || LOCAL.has(String(property))) {
          return typeof value === 'function' ? value.bind(inner) : value
        }
        return (...args: unknown[]) => this.#send(String(property), () => value.apply(inner, args))
      },
    })
  }

  async #send(method: string, work: () => unknown): Promise<unknown> {
    await this.#pass(method)
    const result = await work()
    await this.#pass(method)
    return method === 'compose' ? this.#wrap(result as object) : result
  }

  async #pass(method: string): Promise<void> {
    if (this.#random.chance(0.3)) await sleep(this.#random.below(4))
    if (this.isDead) throw new DriverError('nobody is there any more')
    const fails = !this.isCalm && FRAGILE.has(method) && this.#random.chance(0.04)
    if (fails) throw new DriverError('bad weather')
  }
}

/** Sent in the background alone, so that a lost answer is the uploader's to find out about. */
const FRAGILE = new Set(['putContent', 'uploadPart', 'complete', 'deleteMany', 'makeDirectory'])
const LOCAL = new Set(['checkPath', 'keyOf', 'entries', 'entriesBelow', 'uploads', 'close', 'walk'])

type Call = (driver: StorageDriver, etags: Etags) => Promise<unknown>
/** What a driver calls the version of a path. */
type Etags = (path: string) => Promise<string>

interface Step {
  readonly name: string
  readonly call: Call
  /** The store itself is asked, and must answer. */
  readonly isDirect?: boolean
  /** Where a file or directory will be that was not there. */
  readonly makes?: string
}

function choose(
  random: Random,
  model: ReadonlySet<string>,
  isFreeAt: (path: string) => boolean,
): Step {
  const name = (): string => NAMES[random.below(NAMES.length)] ?? 'a'
  const path = (): string => {
    const depth = 1 + random.below(3)
    return Array.from({ length: depth }, () => `/${name()}`).join('')
  }
  const files = [...model]
  const file = (): string =>
    (random.chance(0.9) ? files[random.below(files.length)] : path()) ?? path()
  const seed = random.below(1_000_000)
  const content = bytes(SIZES[random.below(SIZES.length)] ?? 0, seed)
  const metadata = random.chance(0.3) ? { metadata: { mode: String(seed) } } : {}
  const at = path()
  const other = path()
  const one = file()
  const isFree = isFreeAt(at) && random.chance(0.8) ? { isFree: true } : {}
  const chance = random.below(100)
  if (chance < 26) {
    const options = { ...metadata, ...isFree }
    return {
      name: `put ${at} (${content.length})`,
      call: d => d.putContent(at, content, options),
      makes: at,
    }
  }
  if (chance < 29) {
    const options = { ifNoneMatch: '*' as const }
    return {
      name: `create ${at}`,
      call: d => d.putContent(at, content, options),
      isDirect: true,
      makes: at,
    }
  }
  if (chance < 34) {
    const call: Call = async (d, etags) =>
      d.putContent(one, content, { ifMatch: await etags(one), ...metadata })
    return { name: `replace ${one}`, call }
  }
  if (chance < 42)
    return { name: `compose ${at}`, call: composed(at, one, { seed, random }), makes: at }
  if (chance < 50) return { name: `delete ${one}`, call: d => d.deleteFile(one) }
  if (chance < 53) {
    const call: Call = d => d.deleteMany([one, at, `${other}/`])
    return { name: `delete ${one}, ${at}, ${other}/`, call }
  }
  if (chance < 58)
    return { name: `mkdir ${at}`, call: d => d.makeDirectory(at, metadata), makes: `${at}/-` }
  if (chance < 61) return { name: `rmdir ${at}`, call: d => d.removeDirectoryMarker(at) }
  if (chance < 73)
    return { name: `move ${one} ${other}`, call: d => moved(d, one, other), makes: other }
  if (chance < 76)
    return { name: `move ${at} ${other}`, call: d => moved(d, at, other), makes: other }
  if (chance < 81)
    return { name: `copy ${one} ${other}`, call: d => d.copy(one, other), makes: other }
  if (chance < 85) {
    return { name: `attributes ${one}`, call: d => d.setMetadata(one, { mode: String(seed) }) }
  }
  if (chance < 88) return { name: `rm -r ${at}`, call: d => d.delete(at) }
  return { name: 'nothing', call: async () => undefined }
}

/** Of a move the etag is not compared: which one it is, is the driver's affair. */
async function moved(driver: StorageDriver, from: string, to: string): Promise<unknown> {
  return (await driver.move(from, to))?.size
}

/** New parts, and where it can be a range of another file in between. */
function composed(
  path: string,
  source: string,
  { seed, random }: { readonly seed: number; readonly random: Random },
): Call {
  const order = random.chance(0.5) ? [3, 1] : [1, 3]
  return async (driver, etags) => {
    const composition = await driver.compose(path)
    try {
      const parts = []
      for (const number of order) {
        const data = bytes(number === 1 ? PART : 1000, seed + number)
        parts.push(await composition.uploadPart(number, [data]))
      }
      const { size } = await driver.stat(source, { expect: 'file' })
      if (size >= PART) {
        const range = { path: source, etag: await etags(source), offset: size - PART, length: PART }
        parts.push(await composition.copyPart(2, range))
      }
      return (await composition.complete(parts)).size
    } catch (error) {
      await composition.abort()
      throw error
    }
  }
}

/** No file system would put a file below a file, or in the place of a directory. */
function fits(
  path: string,
  { files, free }: { readonly files: ReadonlySet<string>; readonly free: ReadonlySet<string> },
): boolean {
  // Of a directory that is made only what is above it counts.
  if (!path.endsWith('/-') && !files.has(path) && !free.has(path)) return false
  const above = path.split('/').slice(1, -1)
  return above.every((_, i) => !files.has(`/${above.slice(0, i + 1).join('/')}`))
}

async function outcome(call: () => Promise<unknown>): Promise<unknown> {
  try {
    const value = await call()
    const isVersion = typeof value === 'object' && value !== null && 'size' in value
    return { value: isVersion ? value.size : value }
  } catch (error) {
    return { code: error instanceof DriverError ? error.code : String(error) }
  }
}

/** Everything that can be seen of a store. */
async function picture(driver: StorageDriver): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  const visit = async (directory: string): Promise<void> => {
    const listed: string[] = []
    for await (const { entries } of driver.entries(directory)) {
      for (const { path, isDir, size } of entries) {
        listed.push(path)
        if (isDir) {
          const marker = await driver.stat(path, { expect: 'marker' }).then(
            ({ metadata }) => metadata,
            () => 'none',
          )
          found[`${path}/`] = marker
          await visit(path)
          continue
        }
        const { metadata } = await driver.stat(path, { expect: 'file' })
        const content = await driver.getContent(path)
        found[path] = { size, metadata, content: content.toString('base64').slice(-40) }
        found[`${path} length`] = content.length
      }
    }
    found[`${directory} has`] = listed.toSorted()
  }
  await visit('/')
  return found
}

/** What must be sent first may have failed before the weather became calm. */
async function calmly<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (tries === 5 || !(error instanceof DriverError)) throw error
    }
  }
}

/** By listing subtrees: what each directory holds. */
async function subtrees(driver: StorageDriver): Promise<Record<string, unknown>> {
  const found = new Map<string, string[]>()
  const complete = new Set<string>()
  for await (const { directories } of driver.entriesBelow('/')) {
    for (const { path, entries, isComplete } of directories) {
      const names = entries.map(entry => `${entry.path} ${entry.isDir} ${entry.size}`)
      found.set(path, [...(found.get(path) ?? []), ...names])
      if (isComplete) complete.add(path)
    }
  }
  return Object.fromEntries(
    [...found].filter(([path]) => complete.has(path)).map(([path, all]) => [path, all.toSorted()]),
  )
}

async function play(t: Test, seed: number): Promise<void> {
  const random = seededRandom(seed)
  const folder = scratchFolder(t)
  const limits = { partSize: PART, minPartSize: PART }
  const model = createMemoryDriver(limits)
  const store = lasting(createMemoryDriver(limits))
  const log: string[] = []
  const delay = [0, 0, 5, 60_000][random.below(4)] ?? 0
  let lives = 0
  let weather = new Weather(store, random)
  const open = async (): Promise<JournaledDriver> => {
    lives += 1
    const place = join(folder, `life${lives}`)
    return await openJournaled(t, weather.driver, {
      folder: place,
      delay,
      fileSize: 100 * KiB,
      size: 16 * MiB,
    })
  }
  const die = async (): Promise<void> => {
    weather.isDead = true
    // A copy takes time: nothing may be written to the log meanwhile.
    await sleep(20)
    const from = join(folder, `life${lives}`)
    cpSync(from, join(folder, `life${lives + 1}`), { recursive: true })
    rmSync(join(folder, `life${lives + 1}`, 'owner'), { force: true })
    weather = new Weather(store, random)
    driver = await open()
  }
  const files = new Set<string>()
  const free = new Set<string>(PATHS)
  let driver = await open()
  const check = async (what: string): Promise<void> => {
    const [mine, theirs] = [await calmly(() => picture(driver)), await picture(model)]
    if (!t.same(mine, theirs, what)) throw new Error(`seed ${seed}:\n${log.join('\n')}`)
    const trees = [await calmly(() => subtrees(driver)), await subtrees(model)]
    if (!t.same(trees[0], trees[1], `${what}, listed as a whole`)) {
      throw new Error(`seed ${seed}:\n${log.join('\n')}`)
    }
  }
  for (let i = 0; i < STEPS; i += 1) {
    const step = choose(random, files, path => free.has(path))
    if (step.makes !== undefined && !fits(step.makes, { files, free })) continue
    log.push(step.name)
    const wanted = await outcome(() => step.call(model, etagsOf(model)))
    weather.isCalm = step.isDirect === true
    let found = await outcome(() => step.call(driver, etagsOf(driver)))
    // What must be sent first was refused: nothing has happened.
    for (let tries = 0; JSON.stringify(found) === '{"code":"FAILED"}' && tries < 5; tries += 1) {
      weather.isCalm = true
      found = await outcome(() => step.call(driver, etagsOf(driver)))
    }
    weather.isCalm = false
    if (JSON.stringify(found) !== JSON.stringify(wanted)) {
      t.same(found, wanted, `${step.name}, step ${i} of seed ${seed}`)
      throw new Error(log.join('\n'))
    }
    await note(model, files)
    for (const path of PATHS) {
      const isThere = await model.stat(path).then(
        () => true,
        () => false,
      )
      if (isThere) free.delete(path)
      else free.add(path)
    }
    if (random.chance(0.1)) await sleep(random.below(15))
    if (random.chance(0.04)) {
      log.push('death')
      await die()
    }
    if (random.chance(0.04)) {
      log.push('drain')
      weather.isCalm = random.chance(0.7)
      await driver.drain().catch(() => undefined)
      weather.isCalm = false
    }
    if (random.chance(0.08)) {
      weather.isCalm = true
      await check(`after step ${i}, ${step.name}`)
      weather.isCalm = false
    }
  }
  weather.isCalm = true
  await check('in the end')
  await driver.drain()
  t.same(driver.gauges.journalFiles, 0)
  t.equal(driver.gauges.journalConflictsTotal, 0, 'no conflict with itself')
  const [mine, theirs] = [await picture(store), await picture(model)]
  if (!t.same(mine, theirs, 'the store has it')) throw new Error(`seed ${seed}:\n${log.join('\n')}`)
  await driver.close()
}

function etagsOf(driver: StorageDriver): Etags {
  return async path => (await driver.stat(path, { expect: 'file' })).etag ?? ''
}

/** The files that there are. */
async function note(model: StorageDriver, files: Set<string>): Promise<void> {
  files.clear()
  for await (const { directories } of model.entriesBelow('/')) {
    for (const { entries } of directories) {
      for (const { path, isDir } of entries) if (!isDir) files.add(path)
    }
  }
}

for (let round = 0; round < ROUNDS; round += 1) {
  const seed = SEED + round
  void t.test(`seed ${seed}`, t => play(t, seed))
}
