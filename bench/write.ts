/**
 * Writing through the mount beside the same bytes sent by undici alone: same server (a process of its
 * own), same part size, same number of requests at once, in turn in one run, so that the ratios mean
 * something even where the seconds do not. And what the usual jobs cost in requests and in bytes.
 *
 *     npm run bench:write [-- MiB ROUNDS [throughput|small|jobs|memory]…]
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { KiB, MiB } from '../src/util/units.js'
import { countOperations, readAccessLog } from '../test/helpers/access-log.js'
import type { Access } from '../test/helpers/access-log.js'
import { TestClient } from '../test/helpers/bos-client.js'
import {
  ACCESS_KEY_ID,
  BUCKET,
  MountedBucket,
  SECRET_ACCESS_KEY,
  startServer,
} from '../test/helpers/bosmount.js'
import type { Server } from '../test/helpers/bosmount.js'
import { Cleanup } from '../test/helpers/owner.js'
import { runOk } from '../test/helpers/processes.js'
import { scratchFolder } from '../test/helpers/scratch.js'
import { median, parallel, seconds } from './measure.js'

// Sixteen writers wait in sixteen threads.
process.env['UV_THREADPOOL_SIZE'] = '32'

const [sizeText = '1024', roundsText = '3', ...sections] = process.argv.slice(2)
const SIZE = Number(sizeText) * MiB
const ROUNDS = Number(roundsText)
const PART = 10 * MiB
const UPLOADS = 8
const FILES = 1000
const WRITERS = 16
const DELAY = 20

/** What nobody can be faster than: requests, signed, sent by undici, and nothing else. */
class Bare {
  readonly #pool: Pool
  readonly #signer: TestClient

  constructor(endpoint: string) {
    this.#pool = new Pool(endpoint, { connections: 64, pipelining: 1 })
    this.#signer = new TestClient({
      url: endpoint,
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: SECRET_ACCESS_KEY,
      bucket: BUCKET,
    })
  }

  async close(): Promise<void> {
    this.#signer.close()
    await this.#pool.close()
  }

  async put(key: string, body: Buffer, query: Record<string, string> = {}): Promise<string> {
    const { etag } = (await this.#send('PUT', key, { body, query })).headers
    return String(etag)
  }

  async upload(key: string, size: number): Promise<void> {
    const chunk = randomBytes(PART)
    const begun = await this.#send('POST', key, { query: { uploads: '' } })
    const { uploadId } = JSON.parse(begun.text) as { uploadId: string }
    const parts: { partNumber: number; eTag: string }[] = []
    await parallel(Math.ceil(size / PART), UPLOADS, async i => {
      const body = chunk.subarray(0, Math.min(PART, size - i * PART))
      const eTag = await this.put(key, body, { partNumber: String(i + 1), uploadId })
      parts.push({ partNumber: i + 1, eTag: eTag.replaceAll('"', '') })
    })
    parts.sort((a, b) => a.partNumber - b.partNumber)
    const body = Buffer.from(JSON.stringify({ parts }))
    await this.#send('POST', key, { body, query: { uploadId } })
  }

  async #send(
    method: 'PUT' | 'POST',
    key: string,
    { body = Buffer.alloc(0), query = {} }: { body?: Buffer; query?: Record<string, string> },
  ): Promise<{ headers: Record<string, unknown>; text: string }> {
    const path = this.#signer.path(key)
    const headers: Record<string, string> = {
      host: this.#signer.host,
      'x-bce-date': `${new Date().toISOString().slice(0, 19)}Z`,
      'content-length': String(body.length),
    }
    headers['authorization'] = this.#signer.authorization({ method, path, query, headers })
    const search = new URLSearchParams(query).toString()
    const target = search === '' ? path : `${path}?${search}`
    const answer = await this.#pool.request({ method, path: target, headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${method} ${key}: ${text}`)
    return { headers: answer.headers, text }
  }
}

interface Scene {
  readonly server: Server
  readonly mount: MountedBucket
  readonly bare: Bare
  readonly folder: string
  readonly setDelay: (milliseconds: number) => Promise<void>
}

async function begin(owner: Cleanup): Promise<Scene> {
  const folder = scratchFolder(owner)
  const faults = join(folder, 'faults.yaml')
  writeFileSync(faults, 'rules: []\n')
  const server = await startServer(owner, folder, ['--faults', faults])
  const mount = await MountedBucket.mount(owner, { server, mountpoint: join(folder, 'mount') })
  const bare = new Bare(server.endpoint)
  owner.teardown(() => bare.close())
  const setDelay = async (milliseconds: number): Promise<void> => {
    const rule = `rules:\n  - fault: delay\n    delay: ${milliseconds}ms\n`
    writeFileSync(faults, milliseconds === 0 ? 'rules: []\n' : rule)
    // The server watches the file.
    await sleep(1500)
  }
  return { server, mount, bare, folder, setDelay }
}

/** By a program of its own, as users do. */
async function dd(path: string, bytes: number): Promise<void> {
  const args = ['if=/dev/zero', `of=${path}`, 'bs=1M', `count=${bytes / MiB}`, 'status=none']
  await runOk('dd', args, { timeout: 600_000 })
}

async function writeSmall(path: string, data: Buffer): Promise<void> {
  const file = await open(path, 'w')
  await file.write(data)
  await file.close()
}

function print(what: string, mount: number, other: number, goal: number): void {
  const ratio = other / mount
  const cells = [what.padEnd(44), `mount ${mount.toFixed(2)} s`, `against ${other.toFixed(2)} s`]
  console.log(`${cells.join('  ')}  ratio ${ratio.toFixed(2)} (goal ${goal})`)
}

/** Each pair in turn, so that a slow minute is slow for both. */
async function inTurn(
  mount: (round: number) => Promise<unknown>,
  other: (round: number) => Promise<unknown>,
): Promise<[number, number]> {
  const times: [number, number][] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    times.push([await seconds(() => mount(round)), await seconds(() => other(round))])
  }
  return [median(times.map(([time]) => time)), median(times.map(([, time]) => time))]
}

async function throughput({ mount, bare, setDelay }: Scene): Promise<void> {
  const byMount = (round: number): Promise<void> => dd(join(mount.path, `big-${round}`), SIZE)
  const [plain, alone] = await inTurn(byMount, round => bare.upload(`bare-${round}`, SIZE))
  print(`${SIZE / MiB} MiB in one file, incl. close`, plain, alone, 0.9)
  await setDelay(DELAY)
  const [slow, slowAlone] = await inTurn(byMount, round => bare.upload(`bare-${round}`, SIZE))
  await setDelay(0)
  print(`the same, ${DELAY} ms per request, against without`, slow, plain, 0.85)
  print('                      bare undici with the delay', slow, slowAlone, 0.9)
}

async function smallFiles({ server, mount, bare }: Scene): Promise<void> {
  const data = randomBytes(4 * KiB)
  for (const writers of [1, WRITERS]) {
    const before = readAccessLog(server.accessLog).length
    const [byMount, alone] = await inTurn(
      async round => {
        const folder = join(mount.path, `small-${writers}-${round}`)
        await mkdir(folder)
        await parallel(FILES, writers, i => writeSmall(join(folder, String(i)), data))
      },
      round =>
        parallel(FILES, writers, async i => {
          await bare.put(`bare-small-${writers}-${round}/${i}`, data)
        }),
    )
    print(`${FILES} files of 4 KiB, ${writers} writers`, byMount, alone, 0.8)
    const made = readAccessLog(server.accessLog).slice(before)
    const operations = [...countOperations(made)].map(([name, count]) => `${count} ${name}`)
    console.log(`    by both, in ${ROUNDS} rounds: ${operations.join(', ')}`)
  }
}

/** Runs a job and tells what BOS was asked for. */
async function counted(
  { server }: Scene,
  what: string,
  work: () => Promise<unknown>,
): Promise<void> {
  const before = readAccessLog(server.accessLog).length
  const time = await seconds(work)
  await sleep(200)
  const made: Access[] = readAccessLog(server.accessLog).slice(before)
  const sum = (name: 'bytesIn' | 'bytesOut'): string =>
    (made.reduce((total, access) => total + access[name], 0) / MiB).toFixed(2)
  const cells = [`${made.length} requests`, `${sum('bytesIn')} MiB up`, `${sum('bytesOut')} down`]
  console.log(`${what.padEnd(44)}  ${cells.join('  ')}  ${time.toFixed(2)} s`)
}

async function jobs(scene: Scene): Promise<void> {
  const { mount, folder } = scene
  const at = (name: string): string => join(mount.path, name)
  await dd(at('source'), SIZE)
  await counted(scene, `cp of ${SIZE / MiB} MiB inside the mount (goal < 1 MiB)`, () =>
    runOk('cp', [at('source'), at('copy')]),
  )
  await counted(scene, '4 KiB in the middle of it, fsync (goal 16 MiB)', async () => {
    const fd = openSync(at('source'), 'r+')
    writeSync(fd, randomBytes(4 * KiB), 0, 4 * KiB, SIZE / 2)
    fsyncSync(fd)
    closeSync(fd)
  })
  await mkdir(at('hundred'))
  await counted(scene, '100 files of 1 KiB in one directory (goal 105)', () =>
    parallel(100, 1, i => writeSmall(at(`hundred/${i}`), randomBytes(KiB))),
  )
  const local = join(folder, 'local')
  writeFileSync(local, randomBytes(64 * MiB))
  await mkdir(at('from'))
  await mkdir(at('to'))
  await counted(scene, 'cp of a 64 MiB file in (goal 12)', () =>
    runOk('cp', [local, at('from/file')]),
  )
  await counted(scene, 'mv of it to another directory (goal 3 or 6)', () =>
    runOk('mv', [at('from/file'), at('to/file')]),
  )
}

/** The most memory that the mount holds while 32 files are written at once. */
async function memory({ mount }: Scene): Promise<void> {
  const files = 32
  let peak = 0
  const watch = setInterval(() => {
    const status = readFileSync(`/proc/${mount.process.pid}/status`, 'utf8')
    peak = Math.max(peak, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * KiB)
  }, 50)
  await Promise.all(
    Array.from({ length: files }, async (_, i) => {
      const args = [
        'if=/dev/zero',
        `of=${mount.path}/many-${i}`,
        'bs=1M',
        `count=${SIZE / MiB / 8}`,
      ]
      await once(spawn('dd', args, { stdio: 'ignore' }), 'exit')
    }),
  )
  clearInterval(watch)
  const text = `${(peak / MiB).toFixed(0)} MiB resident (goal 256 + 200)`
  console.log(`${`${files} files of ${SIZE / MiB / 8} MiB at once`.padEnd(44)}  ${text}`)
}

const owner = new Cleanup()
try {
  const scene = await begin(owner)
  const all = { throughput, small: smallFiles, jobs, memory }
  for (const [name, measure] of Object.entries(all)) {
    if (sections.length === 0 || sections.includes(name)) await measure(scene)
  }
} finally {
  await owner.finish()
}
