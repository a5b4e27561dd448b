/**
 * What `registry verify`, `gc` and `du` take on a registry of many blobs:
 *
 *     npm run bench:registry-large [-- BLOBS]
 *
 * BLOBS (300000) are of a few bytes; there is a manifest for each hundred of them, and a tenth is
 * referred to by nothing. They are put into the embedded server's data by its own code; then a
 * server is started on it, and the commands ask it over HTTP. Prints time, processor seconds and
 * the most memory of each command's process, for one of eight shards and for all: memory must not
 * grow with their number.
 */
import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { openDataDirectory } from '../src/server/data-directory.js'
import { silentLogger } from '../src/util/log.js'
import { MiB } from '../src/util/units.js'
import { BUCKET, environment, PROGRAM, startServer } from '../test/helpers/bosmount.js'
import { Cleanup } from '../test/helpers/owner.js'

const BLOBS = Number(process.argv[2] ?? '300000')
const PER_MANIFEST = 100
const BATCH = 20
const V2 = 'docker/registry/v2'

function digestOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

/** Content by key of a hundred blobs and what refers to ninety of them. */
function image(number: number): Map<string, Buffer> {
  const files = new Map<string, Buffer>()
  const addBlob = (content: Buffer): { digest: string; size: number } => {
    const hex = digestOf(content)
    files.set(`${V2}/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`, content)
    return { digest: `sha256:${hex}`, size: content.length }
  }
  const blobs = Array.from({ length: PER_MANIFEST - 1 }, (_, i) =>
    addBlob(Buffer.from(`blob ${i} of image ${number}`)),
  )
  const [config, ...layers] = blobs.slice(0, PER_MANIFEST * 0.9)
  const manifest = { schemaVersion: 2, mediaType: MANIFEST, config, layers }
  const { digest } = addBlob(Buffer.from(JSON.stringify(manifest)))
  const repository = `${V2}/repositories/team-${number % 40}/app-${number}/_manifests`
  const hex = digest.slice('sha256:'.length)
  files.set(`${repository}/revisions/sha256/${hex}/link`, Buffer.from(digest))
  files.set(`${repository}/tags/latest/current/link`, Buffer.from(digest))
  return files
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

async function fill(path: string): Promise<void> {
  const data = await openDataDirectory({ path, sync: false, now: Date.now, log: silentLogger })
  await data.store.createBucket(BUCKET)
  const attributes = { storageClass: 'STANDARD', headers: {}, meta: {} }
  for (let from = 0; from < BLOBS / PER_MANIFEST; from += BATCH) {
    const files = Array.from({ length: BATCH }, (_, i) => [...image(from + i)]).flat()
    const puts = files.map(async ([key, bytes]) => {
      const file = randomUUID().replaceAll('-', '')
      const slice = { file, offset: 0, length: bytes.length, inIndex: true as const, bytes }
      const etag = createHash('md5').update(bytes).digest('hex')
      const content = { size: bytes.length, etag, crc32: crc32(bytes), slices: [slice] } as const
      await data.store.putObject({ bucket: BUCKET, key }, content, attributes)
    })
    await Promise.all(puts)
  }
  await data.close()
}

/** Runs one command to its end; the last thing that it does is to say what it has taken. */
async function measure(endpoint: string, ...args: string[]): Promise<void> {
  const report =
    'process.on("exit", () => { const u = process.resourceUsage(); ' +
    'console.error(`@${u.maxRSS} ${u.userCPUTime + u.systemCPUTime}`) })'
  const began = performance.now()
  const child = spawn(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(report)}`,
      PROGRAM,
      'registry',
      ...args,
    ],
    {
      env: environment({ BOS_ENDPOINT: endpoint, REGISTRY_STORAGE_BOS_REGION: 'bj' }),
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let last = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (last = (last + chunk.toString()).slice(-1000)))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  const [, memory = '0', cpu = '0'] = /@(\d+) (\d+)/.exec(errors) ?? []
  const seconds = ((performance.now() - began) / 1000).toFixed(0)
  const figures = `${(Number(memory) / 1024).toFixed(0)} MiB, ${(Number(cpu) / 1e6).toFixed(0)} s of CPU in ${seconds} s`
  console.log(
    `${args.join(' ').padEnd(40)} ${figures}; exit code ${code}: ${last.trimEnd().split('\n').at(-1) ?? ''}`,
  )
}

const folder = mkdtempSync(join(tmpdir(), 'bench-registry-'))
const cleanup = new Cleanup()
try {
  await fill(join(folder, 'server'))
  console.log(`${BLOBS} blobs; this process: ${(process.memoryUsage.rss() / MiB).toFixed(0)} MiB`)
  const { endpoint } = await startServer(cleanup, folder)
  for (const shard of ['1/8', '1/1']) {
    await measure(endpoint, 'verify', BUCKET, '--shard', shard)
    await measure(endpoint, 'gc', '--dry-run', BUCKET, '--shard', shard)
  }
  await measure(endpoint, 'du', BUCKET)
} finally {
  await cleanup.finish()
  rmSync(folder, { recursive: true, force: true })
}
