/**
 * The embedded server alone: its own ceiling, beside which the figures of what runs against it can be
 * read. The server is a process of its own; the client is bare node:http with signatures made before.
 *
 *     npm run bench:server [-- SECONDS OBJECTS GIB]
 *
 * SECONDS per measurement (3), OBJECTS in the listed bucket (300000), GIB of the object whose passage
 * shows the memory (5, at most 5).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../src/util/log.js'
import { GiB, KiB, MiB, type Bytes } from '../src/util/units.js'
import { openDataDirectory } from '../src/server/data-directory.js'
import { TestClient, textOf } from '../test/helpers/bos-client.js'
import { residentBytes } from './process-usage.js'

const [secondsText = '3', objectsText = '300000', gibText = '5'] = process.argv.slice(2)
const SECONDS = Number(secondsText)
const OBJECTS = Number(objectsText)
const LARGE = Math.min(5, Number(gibText)) * GiB
const BLOCK = Buffer.alloc(MiB, 'b')
const PROGRAM = fileURLToPath(new URL('../test/helpers/server-process.js', import.meta.url))

interface Server {
  readonly url: string
  readonly pid: number
  /** From spawning to the line with its address. */
  readonly startTime: number
  stop(): Promise<void>
}

async function start(directory: string): Promise<Server> {
  const began = performance.now()
  const child = spawn(process.execPath, [PROGRAM, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  return {
    url,
    pid: child.pid ?? 0,
    startTime: performance.now() - began,
    stop: async () => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

interface Message {
  readonly method: string
  readonly key: string
  readonly headers?: Readonly<Record<string, string>>
  /** The block is sent as often as it takes. */
  readonly size?: Bytes
}

/** Sends requests over kept connections, bodies and answers as streams of nothing in particular. */
class Client {
  readonly #url: URL
  readonly #signer: TestClient
  readonly #agent: Agent

  constructor(url: string, keepAlive = true) {
    this.#url = new URL(url)
    this.#signer = new TestClient({ url })
    this.#agent = new Agent({ keepAlive, maxSockets: 64 })
  }

  close(): void {
    this.#agent.destroy()
    this.#signer.close()
  }

  /** @returns bytes received */
  async send({ method, key, headers = {}, size }: Message): Promise<Bytes> {
    const path = this.#signer.path(key)
    const all: Record<string, string> = {
      host: this.#signer.host,
      'x-bce-date': `${new Date().toISOString().slice(0, 19)}Z`,
      ...headers,
      ...(size === undefined ? {} : { 'content-length': String(size) }),
    }
    all['authorization'] = this.#signer.authorization({ method, path, query: {}, headers: all })
    const { hostname: host, port } = this.#url
    return await new Promise((resolve, reject) => {
      const agent = this.#agent
      const outgoing = request({ host, port, method, path, headers: all, agent }, response => {
        let bytes = 0
        response.on('data', (chunk: Buffer) => (bytes += chunk.length))
        response.on('error', reject)
        response.on('end', () => {
          if ((response.statusCode ?? 500) < 300) resolve(bytes)
          else reject(new Error(`${method} ${key}: ${response.statusCode}`))
        })
      })
      outgoing.on('error', reject)
      if (size === undefined || size === 0) outgoing.end()
      else if (size <= BLOCK.length) outgoing.end(BLOCK.subarray(0, size))
      else Readable.from(blocks(size), { objectMode: false }).pipe(outgoing)
    })
  }
}

function* blocks(size: Bytes): Iterable<Buffer> {
  for (let left = size; left > 0; left -= BLOCK.length) yield BLOCK.subarray(0, left)
}

/** Calls `work` over and over, `width` at a time. @returns what it adds up to per second */
async function rate(width: number, work: (worker: number, turn: number) => Promise<number>) {
  const began = performance.now()
  const end = began + SECONDS * 1000
  let sum = 0
  const worker = async (index: number) => {
    for (let turn = 0; performance.now() < end; turn += 1) {
      // Not `sum += await`, which forgets what others have added meanwhile.
      const more = await work(index, turn)
      sum += more
    }
  }
  await Promise.all(Array.from({ length: width }, async (_, index) => await worker(index)))
  return sum / ((performance.now() - began) / 1000)
}

function print(what: string, value: string): void {
  console.log(`${what.padEnd(44)} ${value.padStart(14)}`)
}

const perSecond = (value: number) => `${value.toFixed(0)} /s`
const throughput = (value: number) => `${(value / MiB).toFixed(0)} MiB/s`

async function measureStreams(url: string): Promise<void> {
  const size = 64 * MiB
  const client = new Client(url)
  for (const width of [1, 4, 16]) {
    const put = await rate(width, async worker => {
      await client.send({ method: 'PUT', key: `big${worker}`, size })
      return size
    })
    print(`PUT of 64 MiB, ${width} streams`, throughput(put))
  }
  for (const width of [1, 4, 16]) {
    const get = await rate(width, async worker => {
      return await client.send({ method: 'GET', key: `big${worker}` })
    })
    print(`GET of 64 MiB, ${width} streams`, throughput(get))
  }
  client.close()
}

async function measureRanges(url: string): Promise<void> {
  for (const keepAlive of [true, false]) {
    const client = new Client(url, keepAlive)
    const requests = await rate(4, async (worker, turn) => {
      const first = (turn % 64) * MiB
      const headers = { range: `bytes=${first}-${first + MiB - 1}` }
      await client.send({ method: 'GET', key: `big${worker}`, headers })
      return 1
    })
    const kind = keepAlive ? 'connections kept' : 'a connection per request'
    print(`GET of a range of 1 MiB, 4 at once, ${kind}`, perSecond(requests))
    client.close()
  }
}

async function measureSmall(url: string): Promise<void> {
  const client = new Client(url)
  const size = KiB
  for (const [method, message] of [
    ['PUT', { size }],
    ['GET', {}],
    ['HEAD', {}],
  ] as const) {
    const requests = await rate(16, async (worker, turn) => {
      await client.send({ method, key: `small${worker}-${turn % 10}`, ...message })
      return 1
    })
    print(`${method} of 1 KiB, 16 at once`, perSecond(requests))
  }
  client.close()
}

async function fill(directory: string): Promise<void> {
  const data = await openDataDirectory({
    path: directory,
    sync: false,
    now: Date.now,
    log: silentLogger,
  })
  if (data.store.bucket('test-bucket') === undefined) await data.store.createBucket('test-bucket')
  const attributes = { storageClass: 'STANDARD', headers: { 'content-type': 'x/y' }, meta: {} }
  const content = { size: 0, etag: 'd41d8cd98f00b204e9800998ecf8427e', crc32: 0, slices: [] }
  for (let from = 0; from < OBJECTS; from += 2000) {
    const batch = Array.from({ length: Math.min(2000, OBJECTS - from) }, async (_, index) => {
      const key = `many/${String(from + index).padStart(9, '0')}/object`
      await data.store.putObject({ bucket: 'test-bucket', key }, content, attributes)
    })
    await Promise.all(batch)
  }
  await data.close()
}

async function measureLists(url: string): Promise<void> {
  const client = new TestClient({ url })
  for (const delimiter of [{}, { delimiter: '/' }]) {
    const began = performance.now()
    let pages = 0
    for (let marker = '', more = true; more; pages += 1) {
      const query = { prefix: 'many/', marker, ...delimiter }
      const page = await client.call('GET', { query })
      more = page.json?.['isTruncated'] === true
      marker = more ? textOf(page, 'nextMarker') : ''
    }
    const kind = 'delimiter' in delimiter ? 'common prefixes' : 'keys'
    const value = pages / ((performance.now() - began) / 1000)
    print(`LIST of ${OBJECTS} objects, pages of 1000 ${kind}`, perSecond(value))
  }
  client.close()
}

async function measureMemory(directory: string): Promise<void> {
  const server = await start(directory)
  const client = new Client(server.url)
  await client.send({ method: 'PUT', key: 'warm', size: 256 * MiB })
  await client.send({ method: 'GET', key: 'warm' })
  const before = residentBytes(server.pid, 'most')
  await client.send({ method: 'PUT', key: 'large', size: LARGE })
  const after = residentBytes(server.pid, 'most')
  await client.send({ method: 'GET', key: 'large' })
  const end = residentBytes(server.pid, 'most')
  const text = [before, after, end].map(bytes => (bytes / MiB).toFixed(0)).join(' / ')
  print(`most memory: 256 MiB / PUT / GET of ${LARGE / GiB} GiB`, `${text} MiB`)
  client.close()
  await server.stop()
}

const directory = mkdtempSync(join(tmpdir(), 'bench-server-'))
try {
  const empty = await start(directory)
  print('start, empty', `${empty.startTime.toFixed(0)} ms`)
  await measureStreams(empty.url)
  await measureRanges(empty.url)
  await measureSmall(empty.url)
  await empty.stop()
  await measureMemory(directory)
  rmSync(directory, { recursive: true, force: true })
  const began = performance.now()
  await fill(directory)
  print(
    `${OBJECTS} objects stored in process`,
    perSecond((OBJECTS * 1000) / (performance.now() - began)),
  )
  const full = await start(directory)
  print(`start, ${OBJECTS} objects`, `${full.startTime.toFixed(0)} ms`)
  await measureLists(full.url)
  await full.stop()
  const swept = await start(directory)
  print(`start after kill -9, ${OBJECTS} objects`, `${swept.startTime.toFixed(0)} ms`)
  await swept.stop()
} finally {
  rmSync(directory, { recursive: true, force: true })
}
