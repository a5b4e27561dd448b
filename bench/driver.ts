/**
 * The driver beside bare undici on the same server, a process of its own: GET and PUT of large objects
 * at 1, 4 and 16 parallel streams, and small objects per second. The two take turns within every round
 * of one run, so that the ratio means something on a noisy machine; medians of the rounds.
 *
 *     npm run bench:driver [-- MiB ROUNDS]
 *
 * Bare undici signs each request (the server demands it) and does nothing else: no checksums, no checks,
 * no retries.
 */
import { crc32 } from 'node:zlib'
import { Pool } from 'undici'
import { createBosDriver } from '../src/driver/bos/driver.js'
import { authorization, encodeQuery, timestamp } from '../src/driver/bos/sign.js'
import type { StorageDriver } from '../src/driver/driver.js'
import { parseBosParameters } from '../src/driver/parameters.js'
import { Secret } from '../src/util/secret.js'
import { KiB, MiB } from '../src/util/units.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, startServer } from '../test/helpers/bosmount.js'
import { Cleanup } from '../test/helpers/owner.js'
import { scratchFolder } from '../test/helpers/scratch.js'

const [sizeText = '256', roundsText = '5'] = process.argv.slice(2)
const TOTAL = Number(sizeText) * MiB
const ROUNDS = Number(roundsText)
const WIDTHS = [1, 4, 16]
const PIECE = 4 * MiB
const SMALL = 4 * KiB
const SMALL_COUNT = 1000
const SMALL_WIDTH = 16

/** One way to move bytes. */
interface Client {
  get(key: string, offset: number, target: Uint8Array): Promise<void>
  put(key: string, body: Uint8Array): Promise<void>
}

class BareUndici implements Client {
  readonly #pool: Pool
  readonly #host: string
  readonly #credentials = {
    accessKeyId: ACCESS_KEY_ID,
    secretAccessKey: new Secret(SECRET_ACCESS_KEY),
  }

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
    all['authorization'] = authorization(this.#credentials, {
      method,
      path,
      params: {},
      headers: all,
      time,
    })
    return this.#pool.request({
      method,
      path: path + encodeQuery({}),
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

async function parallel(count: number, width: number, work: (i: number) => Promise<void>) {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) await work(i)
  }
  await Promise.all(Array.from({ length: width }, worker))
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
        unit: 'MiB/s',
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
        unit: 'MiB/s',
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
      unit: '1/s',
      amount: SMALL_COUNT,
      run: client => parallel(SMALL_COUNT, SMALL_WIDTH, () => client.get('small', 0, target())),
    },
    {
      title: `PUT of 4 KiB, ${SMALL_WIDTH} at once`,
      unit: '1/s',
      amount: SMALL_COUNT,
      run: client => parallel(SMALL_COUNT, SMALL_WIDTH, i => client.put(`small-${i}`, smallBody)),
    },
  ]
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
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
  const clients = [throughDriver(driver), bare]
  console.log(`CRC-32 of 1 GiB takes ${((await crcTime()) * 1000).toFixed(0)} ms here`)
  console.log(`${TOTAL / MiB} MiB in pieces of ${PIECE / MiB} MiB, medians of ${ROUNDS} rounds`)
  for (const task of tasks()) {
    const times: [number[], number[]] = [[], []]
    // The first round warms up both.
    for (let round = 0; round <= ROUNDS; round++) {
      const order = round % 2 === 0 ? [0, 1] : [1, 0]
      for (const which of order) {
        const client = clients[which]
        if (client === undefined) continue
        const time = await seconds(() => task.run(client))
        if (round > 0) times[which === 0 ? 0 : 1].push(time)
      }
    }
    print(task, median(times[0]), median(times[1]))
  }
}

async function crcTime(): Promise<number> {
  return await seconds(async () => {
    let crc = 0
    for (let i = 0; i < 256; i++) crc = crc32(body, crc)
  })
}

function print({ title, unit, amount }: Task, driver: number, bare: number): void {
  const rate = (time: number): string => `${(amount / time).toFixed(0).padStart(6)} ${unit}`
  const ratio = ((bare / driver) * 100).toFixed(0)
  console.log(`${title.padEnd(26)} driver ${rate(driver)}   undici ${rate(bare)}   ${ratio} %`)
}

const owner = new Cleanup()
try {
  await main(owner)
} finally {
  await owner.finish()
}
