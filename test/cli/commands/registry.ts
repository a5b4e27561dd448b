/** The registry view, on a store that a real docker-registry has written. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { BUCKET, environment, startServer } from '../../helpers/bosmount.js'
import { openBucket } from '../../helpers/bucket.js'
import { CliSession } from '../../helpers/cli-session.js'
import { makeImage, sha256 } from '../../helpers/oci-image.js'
import { Registry } from '../../helpers/registry.js'
import { scratchFolder } from '../../helpers/scratch.js'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const EMPTY = Buffer.from('{}')

const folder = scratchFolder(t)
const root = join(folder, 'registry')
mkdirSync(root)

// One image, pushed to two repositories; another that shares nothing; an index, and a signature.
const shared = makeImage(join(folder, 'shared'), 'shared', [50_000, 20_000])
const other = makeImage(join(folder, 'other'), 'other', [30_000])
const registry = await Registry.start(t, { root, folder })

async function putManifest(name: string, reference: string, type: string, value: unknown) {
  const content = Buffer.from(JSON.stringify(value))
  const answer = await registry.fetch(`/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': type },
    body: new Uint8Array(content),
  })
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`)
  return sha256(content)
}

async function putBlob(name: string, content: Buffer) {
  const begun = await registry.fetch(`/v2/${name}/blobs/uploads/`, { method: 'POST' })
  const location = begun.headers.get('location') ?? ''
  const digest = sha256(content)
  const done = await registry.fetch(`${location}&digest=${digest}`, {
    method: 'PUT',
    body: new Uint8Array(content),
  })
  if (done.status !== 201) throw new Error(`${done.status}`)
  return { digest, size: content.length }
}

await registry.push(shared, 'team/app:v1')
await registry.push(shared, 'copy:latest')
await registry.push(other, 'team/app:v2')
const manifestSize = (digest: string) =>
  (shared.blobs.get(digest) ?? other.blobs.get(digest))?.length
const index = await putManifest('team/app', 'multi', INDEX, {
  schemaVersion: 2,
  mediaType: INDEX,
  manifests: [shared, other].map(({ manifest }, i) => ({
    mediaType: MANIFEST,
    digest: manifest,
    size: manifestSize(manifest),
    platform: { os: 'linux', architecture: i === 0 ? 'amd64' : 'arm64' },
  })),
})
const empty = await putBlob('team/app', EMPTY)
const signed = await putBlob('team/app', Buffer.from('a signature'))
const signature = await putManifest('team/app', 'signature', MANIFEST, {
  schemaVersion: 2,
  mediaType: MANIFEST,
  config: { mediaType: 'application/vnd.example.signature', ...empty },
  layers: [{ mediaType: 'application/octet-stream', ...signed }],
  subject: { mediaType: MANIFEST, digest: shared.manifest, size: manifestSize(shared.manifest) },
})
const orphan = await putBlob('team/app', Buffer.from('nobody refers to this'))
await registry.stop()

const server = await startServer(t, folder)
const session = new CliSession(
  t,
  environment({ BOS_ENDPOINT: server.endpoint, REGISTRY_STORAGE_BOS_REGION: 'bj' }),
)
const SOURCE = `${BUCKET}/registry`
const put = await session.run(['put', '-r', root, BUCKET])
if (put.code !== 0) throw new Error(put.stderr)
const driver = await openBucket(t, server)

function blobPath(digest: string): string {
  const hex = digest.slice('sha256:'.length)
  return `/registry/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`
}

async function run(t: Test, args: readonly string[], code = 0): Promise<string> {
  const finished = await session.run(['registry', ...args])
  t.equal(finished.code, code, `${args.join(' ')}: ${finished.stderr}`)
  return finished.text
}

function rows(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map(row => JSON.parse(row) as Record<string, unknown>)
}

const ALL_BLOBS = new Set([...shared.blobs.keys(), ...other.blobs.keys()]).size + 5
const sum = (digests: Iterable<string>) =>
  [...digests].reduce((total, digest) => total + (manifestSize(digest) ?? 0), 0)

void t.test('tree shows repositories, tags, manifests and layers', async t => {
  const text = await run(t, ['tree', SOURCE])
  t.match(text, /^copy\n {2}latest {2}sha256:[\da-f]{64} {2}application\/vnd\.oci\.image\.manifest/)
  t.ok(text.includes(`\n  multi  ${index}  ${INDEX}\n`))
  t.match(text, new RegExp(`\n {4}linux/arm64 {2}${other.manifest}`))
  t.ok(text.includes(`\n    layer   ${shared.layers[0]}  49 KiB\n`))
  const only = rows(await run(t, ['tree', SOURCE, '--json', '--repository', 'cop?']))
  t.match(only, [{ repository: 'copy', tags: { latest: shared.manifest }, broken: [] }])
  t.equal(only.length, 1)
  await run(t, ['tree', SOURCE, '--repository', 'nothing'], 1)
})

void t.test('du tells what each repository needs alone', async t => {
  const [copy, app, all] = rows(await run(t, ['du', SOURCE, '--json']))
  const sharedBytes = sum(shared.blobs.keys())
  t.match(copy, { repository: 'copy', manifests: 1, blobs: 4, unique: 0, shared: sharedBytes })
  t.match(app, { repository: 'team/app', manifests: 4, blobs: ALL_BLOBS - 1, shared: sharedBytes })
  t.equal(all?.['blobs'], ALL_BLOBS - 1, 'each once; the orphan is referred to by nobody')
  const text = await run(t, ['du', SOURCE])
  t.match(text, /unique +shared +blobs +manifests {2}repository\n/)
  t.match(text, / +0 bytes .* 4 +1 {2}copy\n/)
})

void t.test('gc finds what nothing refers to, and only that', async t => {
  const found = rows(await run(t, ['gc', SOURCE, '--dry-run', '--json']))
  t.match(found, [
    { digest: orphan.digest, size: orphan.size },
    { repositories: 2, manifests: 5, untagged: 0, blobs: ALL_BLOBS, unreferenced: 1 },
  ])
  const text = await run(t, ['gc', SOURCE, '--dry-run'])
  t.match(text, new RegExp(`1 of ${ALL_BLOBS} blobs are unreferenced: 21 bytes`))
  const young = rows(await run(t, ['gc', SOURCE, '--dry-run', '--older-than', '1d', '--json']))
  t.match(young, [{ unreferenced: 0 }], 'what may be in the middle of a push is left out')
  const refused = await session.run(['registry', 'gc', SOURCE])
  t.equal(refused.code, 2)
  t.match(refused.stderr, /add --dry-run/)
  t.ok(await driver.stat(blobPath(orphan.digest)), 'nothing was deleted')
})

void t.test('shards share the work without overlap', async t => {
  let blobs = 0
  let unreferenced = 0
  for (const shard of ['1/3', '2/3', '3/3']) {
    const last = rows(await run(t, ['gc', SOURCE, '--dry-run', '--json', '--shard', shard])).at(-1)
    blobs += Number(last?.['blobs'])
    unreferenced += Number(last?.['unreferenced'])
  }
  t.same([blobs, unreferenced], [ALL_BLOBS, 1])
  for (const wrong of ['0/3', '4/3', 'x', '1']) {
    const finished = await session.run(['registry', 'verify', SOURCE, '--shard', wrong])
    t.equal(finished.code, 2, wrong)
  }
})

void t.test('verify reads everything, and a second run with its state nothing', async t => {
  t.match(await run(t, ['verify', SOURCE]), new RegExp(`^${ALL_BLOBS} blobs, .*: all are what`))
  const state = join(folder, 'state')
  const before = rows(await run(t, ['verify', SOURCE, '--json', '--state', state]))
  t.match(before, [{ blobs: ALL_BLOBS, damaged: 0 }])
  const layer = shared.layers[0] ?? ''
  await driver.putContent(blobPath(layer), Buffer.alloc(50_000))
  const again = rows(await run(t, ['verify', SOURCE, '--json', '--state', state]))
  t.match(again, before, 'what is done is not read again')
  const other = await session.run([
    'registry',
    'verify',
    SOURCE,
    '--shard',
    '1/2',
    '--state',
    state,
  ])
  t.equal(other.code, 1)
  t.match(other.stderr, /is of another run/)
})

void t.test('damage is found, and told by the exit code', async t => {
  const [, second = ''] = shared.layers
  await driver.delete(blobPath(second))
  await driver.makeDirectory(blobPath(second).slice(0, -'/data'.length))
  const damage = rows(await run(t, ['verify', SOURCE, '--json'], 3))
  t.equal(damage.at(-1)?.['damaged'], 2)
  const problems = new Map(damage.map(({ digest, problem }) => [digest, problem]))
  t.equal(problems.get(shared.layers[0]), 'corrupt')
  t.equal(problems.get(second), 'missing')
})

void t.test('untagged manifests and broken ones are told', async t => {
  const tag = '/registry/docker/registry/v2/repositories/team/app/_manifests/tags'
  await driver.delete(`${tag}/v2`)
  await driver.delete(`${tag}/signature`)
  const tree = await run(t, ['tree', SOURCE, '--repository', 'team/*'])
  t.match(tree, new RegExp(`\n {2}referrer about ${shared.manifest} {2}${signature}`))
  const still = rows(await run(t, ['gc', SOURCE, '--dry-run', '--json', '--untagged']))
  t.match(
    still.at(-1),
    { untagged: 0, unreferenced: 1 },
    'the index and the subject still lead there',
  )
  await driver.delete(`${tag}/multi`)
  await driver.delete(`${tag}/v1`)
  const plain = rows(await run(t, ['gc', SOURCE, '--dry-run', '--json']))
  t.match(plain.at(-1), { untagged: 4, unreferenced: 1 })
  const untagged = rows(await run(t, ['gc', SOURCE, '--dry-run', '--json', '--untagged']))
  t.ok(untagged.some(({ digest }) => digest === other.layers[0]))
  t.notOk(
    untagged.some(({ digest }) => digest === shared.manifest),
    'the other repository has it',
  )
  await driver.putContent(blobPath(index), Buffer.from('no manifest'))
  await driver.delete(blobPath(signature))
  const finished = await session.run(['registry', 'gc', SOURCE, '--dry-run', '--json'])
  t.match(finished.stderr, new RegExp(`team/app: manifest ${index}: not a manifest`))
  t.match(finished.stderr, new RegExp(`team/app: manifest ${signature}: missing`))
})

void t.test('a place without a registry is told', async t => {
  const finished = await session.run(['registry', 'tree', BUCKET])
  t.equal(finished.code, 1)
  t.match(finished.stderr, /no registry is here/)
})
