/**
 * The driver beside bare undici on the same server, a process of its own: GET and PUT of large objects
 * at 1, 4 and 16 parallel streams, and small objects per second.
 *
 *     npm run bench:driver [-- MiB ROUNDS [TITLE]]
 *
 * The two take turns in short rounds, each first in every other one; what is told is the median of the
 * rounds' ratios, so that other work on the machine, which slows both of a round, cancels out. The time
 * that this process spent on a CPU is told beside, which other work does not change.
 *
 * Bare undici signs each request with the SDK's Auth (the server demands it) and does nothing else: no
 * checksums, no checks, no retries.
 */
import { crc32 } from 'node:zlib'
import Auth from '@baiducloud/sdk/src/auth.js'
import { Pool } from 'undici'
import { createBosDriver } from '../src/driver/bos/driver.js'
import { timestamp } from '../src/driver/bos/sign.js'
import type { StorageDriver } from '../src/driver/driver.js'
import { parseBosParameters } from '../src/driver/parameters.js'
import { GiB, KiB, MiB } from '../src/util/units.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, startServer } from '../test/helpers/bosmount.js'
import { Cleanup } from '../test/helpers/owner.js'
import { scratchFolder } from '../test/helpers/scratch.js'
import { median, parallel } from './measure.js'

const [sizeText = '64', roundsText = '15', only = ''] = process.argv.slice(2)
const TOTAL = Number(sizeText) * MiB
const ROUNDS = Number(roundsText)
const WIDTHS = [1, 4, 16]
const PIECE = 4 * MiB
const SMALL = 4 * KiB
const SMALL_COUNT = 500
const SMALL_WIDTH = 16
const WARM_UP = 2

/** One way to move bytes. */
interface Client {
  get(key: string, offset: number, target: Uint8Array): Promise<void>
  put(key: string, body: Uint8Array): Promise<void>
}

class BareUndici implements Client {
  readonly #pool: Pool
  readonly #host: string
  readonly #auth = new Auth(ACCESS_KEY_ID, SECRET_ACCESS_KEY)

  constructor(endpoint: string) {
    this.#pool = new Pool(endpoint, { connections: 32, pipelining: 1 })
    this.#host = new URL(endpoint).host
  }

  async get(key: string, offset: number, target: Uint8Array): Promise<void> {
    const range = { range: `bytes=${offset}-${offset + target.length - 1}` }
    const { body, statusCode } = await this.#request('GET', key, { headers: range })
    let at = 0
    for await (const chunk of body) {
      target.set(chunk as Buffer, at)
      at += (chunk as Buffer).length
    }
    if (statusCode !== 206 || at !== target.length)
      throw new Error(`GET ${statusCode}, ${at} bytes`)
  }

  async put(key: string, body: Uint8Array): Promise<void> {
    const headers = { 'content-length': String(body.length) }
    const answer = await this.#request('PUT', key, { headers, body })
    await answer.body.dump()
    if (answer.statusCode !== 200) throw new Error(`PUT ${answer.statusCode}`)
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  #request(
    method: 'GET' | 'PUT',
    key: string,
    { headers, body }: { headers: Record<string, string>; body?: Uint8Array },
  ) {
    const path = `/${BUCKET}/${key}`
    const time = Date.now()
    const all: Record<string, string> = {
      host: this.#host,
      'x-bce-date': timestamp(time),
      ...headers,
    }
    const seconds = Math.floor(time / 1000)
    all['authorization'] = this.#auth.generateAuthorization(method, path, {}, all, seconds, 1800)
    return this.#pool.request({
      method,
      path,
      headers: all,
      ...(body === undefined ? {} : { body }),
    })
  }
}

function throughDriver(driver: StorageDriver): Client {
  return {
    get: async (key, offset, target) => {
      const { bytesRead } = await driver.readInto(`/${key}`, target, { offset })
      if (bytesRead !== target.length) throw new Error(`${bytesRead} bytes were read`)
    },
    put: async (key, body) => void (await driver.putContent(`/${key}`, body)),
  }
}

/** A thing that is measured, and how many units of it a second has. */
interface Task {
  readonly title: string
  readonly unit: string
  readonly amount: number
  run(client: Client): Promise<void>
}

const body = Buffer.alloc(PIECE, 'some content that is no hole ')
const smallBody = body.subarray(0, SMALL)

function tasks(): Task[] {
  const pieces = TOTAL / PIECE
  const large = WIDTHS.flatMap((width): Task[] => {
    const targets = Array.from({ length: width }, () => Buffer.allocUnsafeSlow(PIECE))
    return [
      {
        title: `GET, ${width} at once`,
        unit: 'MiB',
        amount: TOTAL / MiB,
        run: client =>
          parallel(pieces, width, async i => {
            const target = targets.pop() ?? Buffer.allocUnsafeSlow(PIECE)
            await client.get('large', i * PIECE, target)
            targets.push(target)
          }),
      },
      {
        title: `PUT, ${width} at once`,
        unit: 'MiB',
        amount: TOTAL / MiB,
        run: client => parallel(pieces, width, i => client.put(`put-${i % 32}`, body)),
      },
    ]
  })
  const target = (): Buffer => Buffer.allocUnsafe(SMALL)
  return [
    ...large,
    {
      title: `GET of 4 KiB, ${SMALL_WIDTH} at once`,
      unit: 'op',
      amount: SMALL_COUNT,
      run: client => parallel(SMALL_COUNT, SMALL_WIDTH, () => client.get('small', 0, target())),
    },
    {
      title: `PUT of 4 KiB, ${SMALL_WIDTH} at once`,
      unit: 'op',
      amount: SMALL_COUNT,
      run: client => parallel(SMALL_COUNT, SMALL_WIDTH, i => client.put(`small-${i}`, smallBody)),
    },
  ]
}

/** What one run took. */
interface Cost {
  readonly seconds: number
  readonly cpuSeconds: number
}

async function cost(work: () => Promise<void>): Promise<Cost> {
  const cpu = process.cpuUsage()
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { seconds, cpuSeconds: (user + system) / 1e6 }
}

interface Round {
  readonly driver: Cost
  readonly bare: Cost
}

/** Both in turn; the first rounds warm up. */
async function play(task: Task, clients: { driver: Client; bare: Client }): Promise<Round[]> {
  const rounds: Round[] = []
  const run = (which: 'driver' | 'bare'): Promise<Cost> => cost(() => task.run(clients[which]))
  for (let number = -WARM_UP; number < ROUNDS; number++) {
    const isDriverFirst = number % 2 === 0
    const first = await run(isDriverFirst ? 'driver' : 'bare')
    const second = await run(isDriverFirst ? 'bare' : 'driver')
    const [driver, bare] = isDriverFirst ? [first, second] : [second, first]
    if (number >= 0) rounds.push({ driver, bare })
  }
  return rounds
}

function print({ title, unit, amount }: Task, rounds: readonly Round[]): void {
  const of = (read: (round: Round) => number): number => median(rounds.map(read))
  const side = (which: 'driver' | 'bare'): string => {
    const rate = amount / of(round => round[which].seconds)
    const cpu = (of(round => round[which].cpuSeconds) / amount) * 1e6
    return `${rate.toFixed(0).padStart(6)} ${unit}/s ${cpu.toFixed(0).padStart(5)} µs/${unit}`
  }
  const time = of(({ driver, bare }) => bare.seconds / driver.seconds) * 100
  const cpu = of(({ driver, bare }) => bare.cpuSeconds / driver.cpuSeconds) * 100
  console.log(
    `${title.padEnd(24)} driver ${side('driver')}   undici ${side('bare')}   ` +
      `speed ${time.toFixed(0)} %, CPU ${cpu.toFixed(0)} %`,
  )
}

async function main(owner: Cleanup): Promise<void> {
  const server = await startServer(owner, scratchFolder(owner))
  const driver = createBosDriver(
    parseBosParameters({
      accesskeyid: ACCESS_KEY_ID,
      accesskeysecret: SECRET_ACCESS_KEY,
      bucket: BUCKET,
      endpoint: server.endpoint,
      chunksize: 16 * MiB,
    }),
  )
  const bare = new BareUndici(server.endpoint)
  owner.teardown(() => driver.close())
  owner.teardown(() => bare.close())
  const writer = await driver.writer('/large')
  for (let at = 0; at < TOTAL; at += PIECE) await writer.write(body)
  await writer.commit()
  await writer.close()
  await driver.putContent('/small', smallBody)
  const { seconds } = await cost(async () => {
    let crc = 0
    for (let i = 0; i < GiB / PIECE; i++) crc = crc32(body, crc)
  })
  console.log(`CRC-32 of 1 GiB takes ${(seconds * 1000).toFixed(0)} ms here`)
  console.log(`${TOTAL / MiB} MiB in pieces of ${PIECE / MiB} MiB, medians of ${ROUNDS} rounds;`)
  console.log('percentages: how much of bare undici the driver reaches')
  for (const task of tasks().filter(({ title }) => title.startsWith(only))) {
    print(task, await play(task, { driver: throughDriver(driver), bare }))
  }
}

const owner = new Cleanup()
try {
  await main(owner)
} finally {
  await owner.finish()
}
