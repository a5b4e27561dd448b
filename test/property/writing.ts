/**
 * Files are written while the store resets connections, refuses, loses answers and bytes, and dawdles. What close
 * or fsync confirmed is stored; what they refused is as it was, and a later fsync makes it good; no
 * unfinished upload and no staged byte is left.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../src/driver/driver.js'
import type { Fault, FaultRule } from '../../src/server/faults.js'
import { MiB } from '../../src/util/units.js'
import { startDriverHarness } from '../driver/bos/harness.js'
import { createCore } from '../helpers/core.js'
import { CoreOs, O_CREAT, O_RDWR } from '../helpers/core-os.js'

/** Two parts and a bit. */
const LARGE = pattern(11 * MiB, 1)
const SMALL = pattern(5000, 2)

interface Job {
  readonly name: string
  readonly before: Buffer | undefined
  readonly flags: number
  readonly at: number
  readonly data: Buffer
  readonly after: Buffer
}

const CHANGE = pattern(4096, 3)

const JOBS: readonly Job[] = [
  job('a small file', undefined, { flags: O_CREAT, at: 0, data: SMALL }),
  job('a large file', undefined, { flags: O_CREAT, at: 0, data: LARGE }),
  job('a large file changed in the middle', LARGE, { flags: 0, at: 5 * MiB + 7, data: CHANGE }),
]

function job(
  name: string,
  before: Buffer | undefined,
  { flags, at, data }: Pick<Job, 'flags' | 'at' | 'data'>,
): Job {
  const old = before ?? Buffer.alloc(0)
  const after = Buffer.alloc(Math.max(old.length, at + data.length))
  old.copy(after)
  data.copy(after, at)
  return { name, before, flags: O_RDWR | flags, at, data, after }
}

const WRITES = [
  'PutObject',
  'InitiateMultipartUpload',
  'UploadPart',
  'UploadPartCopy',
  'CompleteMultipartUpload',
] as const

const BEGIN = 'InitiateMultipartUpload'

const unavailable: Fault = { kind: 'error', status: 503, code: 'ServiceUnavailable' }
const expired: Fault = { kind: 'error', status: 400, code: 'InvalidSessionToken' }
const denied: Fault = { kind: 'error', status: 403, code: 'AccessDenied' }

/** What the store does to each of the writing requests, some times. */
const WEATHER: readonly (readonly [string, Omit<FaultRule, 'operation'>])[] = [
  ['one reset while bytes are sent', { fault: { kind: 'reset-upload', after: 1000 }, count: 1 }],
  ['a burst of 503', { fault: unavailable, count: 3 }],
  ['a lost answer', { fault: { kind: 'drop-response' }, count: 1 }],
  ['a damaged byte', { fault: { kind: 'corrupt-upload', at: 100 }, count: 1 }],
  ['slow requests', { fault: { kind: 'delay', delay: 100 } }],
  ['expired credentials', { fault: expired, count: 20 }],
  ['a refusal', { fault: denied, count: 20 }],
]

t.setTimeout(300_000)

for (const [weather, rule] of WEATHER) {
  void t.test(weather, async t => {
    const { driver: open, server } = await startDriverHarness(t)
    const driver = await open({ chunksize: 5 * MiB })
    const staging = mkdtempSync(join(tmpdir(), 'bosmount-faults-'))
    t.teardown(() => rmSync(staging, { recursive: true, force: true }))
    for (const { name, before } of JOBS) {
      if (before !== undefined) await driver.putContent(`/${name}`, before)
    }
    const os = new CoreOs(
      createCore(driver, { staging: { directory: staging, capacity: 64 * MiB } }),
    )
    for (const job of JOBS) {
      for (const operation of WRITES) {
        // An upload whose beginning was never answered stays, empty: nobody knows that it is his.
        const isUnknowable = rule.fault.kind === 'drop-response' && operation === BEGIN
        if (!isUnknowable) server.faults.add({ ...rule, operation })
      }
      await write(t, { job, os, driver, calm: () => server.faults.clear() })
      server.faults.clear()
      t.ok((await driver.getContent(`/${job.name}`)).equals(job.after), `${job.name} is stored`)
      t.same(await uploads(driver), [], 'no upload is left')
    }
    await os.fs.destroy()
    t.equal(os.fs.counts.handles, 0)
    t.equal(os.fs.counts.dirty, 0)
    t.same(readdirSync(staging), [])
  })
}

interface Scene {
  readonly job: Job
  readonly os: CoreOs
  readonly driver: StorageDriver
  readonly calm: () => void
}

/** Writes and syncs; what fails is tried once more in calm weather. */
async function write(t: Test, { job, os, driver, calm }: Scene): Promise<void> {
  const path = `/${job.name}`
  const file = await os.open(path, job.flags)
  const failure = await tell(async () => {
    for (let done = 0; done < job.data.length; done += MiB) {
      await file.write(job.at + done, job.data.subarray(done, done + MiB))
    }
    await file.fsync()
  })
  if (failure !== undefined) {
    calm()
    t.match(failure, { code: /^E(IO|ACCES|STALE)$/ }, `${job.name} is refused`)
    const found = await driver.getContent(path).catch(() => undefined)
    const isOld =
      found === undefined ? job.before === undefined : job.before?.equals(found) === true
    t.ok(isOld, 'what was there is there')
    // Writes after the one that was told of a failure were not made.
    for (let done = 0; done < job.data.length; done += MiB) {
      await file.write(job.at + done, job.data.subarray(done, done + MiB))
    }
    await file.fsync()
  }
  t.ok((await driver.getContent(path)).equals(job.after), `${job.name} is confirmed and stored`)
  await file.close()
}

async function tell(work: () => Promise<void>): Promise<unknown> {
  return work().then(
    () => undefined,
    (error: unknown) => error,
  )
}

async function uploads(driver: StorageDriver): Promise<readonly string[]> {
  const paths: string[] = []
  for await (const { path } of driver.uploads('/')) paths.push(path)
  return paths
}

function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i += 1) bytes[i] = (seed * 57 + i * 7 + (i >> 9)) & 0xff
  return bytes
}
