/**
 * kill -9 in the middle of things: whatever was confirmed is there, and of the step that was not, either
 * all or nothing. Some kills here; many by `npm run test:crash`, with
 * CRASH_KILLS and CRASH_SEED in the environment.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { TestClient } from '../helpers/bos-client.js'
import { CREDENTIALS, dataFiles, md5Of, temporaryDirectory } from '../helpers/bos-harness.js'
import { startBosServer } from '../../src/server/server.js'
import { chooseStep, UnexpectedReply, type State } from './crash-model.js'

const KILLS = Number(process.env['CRASH_KILLS'] ?? 5)
const SEED = Number(process.env['CRASH_SEED'] ?? 20_240_501)
/** Most steps that are confirmed before the kill … */
const MOST_STEPS = 60
/** … and the longest time that the next ones have until then. */
const LONGEST = 20

const PROGRAM = fileURLToPath(new URL('../helpers/server-process.js', import.meta.url))

interface Worker {
  readonly bucket: string
  readonly prefix: string
  /** Of its own, so that its steps do not depend on how others get on. */
  readonly random: () => number
  /** What must be there; after a kill perhaps what `pending` says instead. */
  state: State
  pending?: { readonly name: string; readonly after: State }
}

/** Steps that were confirmed, so that a kill is as deep in the work on a slow machine as on a fast one. */
class Progress {
  steps = 0
  readonly #waiting: { readonly steps: number; readonly reached: () => void }[] = []

  reaches(steps: number): Promise<void> {
    return new Promise(reached => {
      if (this.steps >= steps) reached()
      else this.#waiting.push({ steps, reached })
    })
  }

  confirmed(): void {
    this.steps += 1
    for (const { steps, reached } of this.#waiting) if (this.steps >= steps) reached()
  }
}

t.setTimeout(180_000 + KILLS * 3000)

void t.test('after kill -9 everything is as it was before a step or after it', async t => {
  t.setTimeout(180_000 + KILLS * 3000)
  t.comment(`seed ${SEED}, ${KILLS} kills`)
  const random = randomFrom(SEED)
  const directory = temporaryDirectory(t)
  const workers = ['test-bucket', 'tree-bucket'].flatMap(bucket =>
    [1, 2, 3].map((index): Worker => {
      const random = randomFrom(SEED + index * 7919 + bucket.length)
      return { bucket, prefix: `w${index}/`, random, state: new Map() }
    }),
  )
  const progress = new Progress()
  let interrupted = 0
  for (let round = 0; round <= KILLS; round += 1) {
    const { url, kill } = await start(t, directory)
    for (const worker of workers) await settle(t, url, worker)
    if (round === 0) await Promise.all(workers.map(async worker => await prepare(url, worker)))
    if (round < KILLS) {
      const [more, moment] = [Math.floor(random() * MOST_STEPS), Math.floor(random() * LONGEST)]
      const killed = progress
        .reaches(progress.steps + more)
        .then(() => delay(moment))
        .then(kill)
      await Promise.all(workers.map(async worker => await play(url, worker, progress)))
      await killed
      interrupted += workers.filter(worker => worker.pending !== undefined).length
    } else {
      await kill()
    }
  }
  t.ok(progress.steps > KILLS, `${progress.steps} were confirmed, ${interrupted} interrupted`)
  await checkFiles(t, directory)
})

/** Starts a server that will be killed. */
async function start(t: Test, directory: string) {
  const child = spawn(process.execPath, [PROGRAM, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const kill = async () => {
    child.kill('SIGKILL')
    await exited
  }
  return { url, kill }
}

async function prepare(url: string, worker: Worker): Promise<void> {
  if (worker.bucket !== 'tree-bucket') return
  await using(url, worker, async client => {
    await client.call('PUT', { key: worker.prefix })
  })
  worker.state = new Map([[worker.prefix, md5Of(Buffer.of())]])
}

/** Takes one step after the other until the server is gone. */
async function play(url: string, worker: Worker, progress: Progress): Promise<void> {
  await using(url, worker, async client => {
    for (;;) {
      const step = chooseStep(worker.state, worker.prefix, worker.random)
      worker.pending = step
      try {
        await step.run(client)
      } catch (error) {
        if (error instanceof UnexpectedReply) throw new Error(`${step.name}: ${error.message}`)
        return
      }
      worker.state = step.after
      delete worker.pending
      progress.confirmed()
    }
  })
}

/** Finds out which of the two states a worker's names are in. */
async function settle(t: Test, url: string, worker: Worker): Promise<void> {
  const found = await using(url, worker, async client => await readState(client, worker.prefix))
  const { pending } = worker
  delete worker.pending
  if (isSame(found, worker.state)) return
  if (pending !== undefined && isSame(found, pending.after)) {
    worker.state = pending.after
    return
  }
  const wanted = { before: Object.fromEntries(worker.state), step: pending?.name ?? 'none' }
  t.fail(`neither the old state nor the new one in ${worker.bucket}`, {
    found: Object.fromEntries(found),
    wanted,
  })
  throw new Error('the state is lost')
}

async function readState(client: TestClient, prefix: string): Promise<State> {
  const found = new Map<string, string>()
  const isTree = client.bucket === 'tree-bucket'
  const folders = [prefix]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const query = { prefix: folder, ...(isTree ? { delimiter: '/' } : {}) }
    const { json } = await client.call('GET', { query })
    const contents = (json?.['contents'] ?? []) as readonly { key: string }[]
    const prefixes = (json?.['commonPrefixes'] ?? []) as readonly { prefix: string }[]
    folders.push(...prefixes.map(entry => entry.prefix))
    if (isTree && (await client.call('HEAD', { key: folder })).status === 200) {
      found.set(folder, md5Of(Buffer.of()))
    }
    for (const { key } of contents) {
      found.set(key, md5Of((await client.call('GET', { key })).body))
    }
  }
  return found
}

/** Once everything is deleted, nothing is left on the disk. */
async function checkFiles(t: Test, directory: string): Promise<void> {
  const server = await startBosServer({
    dataDirectory: directory,
    buckets: [],
    credentials: CREDENTIALS,
  })
  t.teardown(async () => await server.close())
  for (const bucket of ['test-bucket', 'tree-bucket']) {
    const client = new TestClient({ url: server.url, bucket })
    t.teardown(() => client.close())
    const { json } = await client.call('GET', { query: { uploads: '' } })
    const uploads = (json?.['uploads'] ?? []) as readonly { key: string; uploadId: string }[]
    for (const { key, uploadId } of uploads) {
      await client.call('DELETE', { key, query: { uploadId } })
    }
    for (const key of ['w1/', 'w2/', 'w3/']) {
      const headers = { 'x-bce-delete-recursive': 'true' }
      if (bucket === 'tree-bucket') await client.call('DELETE', { key, headers })
      else
        for (const name of (await readState(client, key)).keys())
          await client.call('DELETE', { key: name })
    }
  }
  t.strictSame(dataFiles(directory), [], 'no file is left that nothing refers to')
}

async function using<Result>(
  url: string,
  worker: Worker,
  use: (client: TestClient) => Promise<Result>,
): Promise<Result> {
  const client = new TestClient({ url, bucket: worker.bucket })
  try {
    return await use(client)
  } finally {
    client.close()
  }
}

function isSame(one: State, other: State): boolean {
  return one.size === other.size && [...one].every(([key, md5]) => other.get(key) === md5)
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // Numerical Recipes' linear congruential generator; its high bits are good enough here.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
