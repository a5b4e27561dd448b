/**
 * A day in the life of a registry, over any folder: pushes, pulls, restarts, chunked and cancelled
 * uploads, deletion and garbage collection, each with its outcome checked, and at the end the exact
 * files that the registry must have left.
 *
 * Run over a plain folder it proves itself; run over a mount it proves the mount.
 */
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { MiB } from '../../src/util/units.js'
import { differences, makeImage, seededBytes, sha256, type Image } from './oci-image.js'
import { RegistryLayout } from './registry-layout.js'
import { collectGarbage, Registry, type RegistryOptions } from './registry.js'

export interface ScenarioOptions extends RegistryOptions {
  /** Makes the root go away and come back, as a machine does that restarts. */
  remount(): Promise<void>
}

/** The third layer makes the upload take more than one part. */
const LAYERS = [1 * MiB, 8 * MiB, 33 * MiB]
/** The first chunk exceeds a part, and none ends where a part does. */
const CHUNKS = [12 * MiB + 1, 3 * MiB + 7, 6 * MiB + 11]
const REPOSITORY = 'team/app'

/** @returns what must be below the root now; the registry is stopped */
export async function registryScenario(t: Test, options: ScenarioOptions): Promise<RegistryLayout> {
  const layout = new RegistryLayout()
  const image = makeImage(join(options.folder, 'image'), 'image', LAYERS)
  let registry = await Registry.start(t, options)
  const restart = async () => {
    await registry.stop()
    await options.remount()
    registry = await Registry.start(t, options)
  }

  await t.test('the same image is pushed under two tags and comes back', async t => {
    for (const tag of ['v1', 'v2']) {
      await registry.push(image, `${REPOSITORY}:${tag}`)
      addImage(layout, REPOSITORY, image, tag)
    }
    await checkPull(t, registry, { image, tag: 'v1', folder: options.folder })
    await checkPull(t, registry, { image, tag: 'v2', folder: options.folder })
  })

  await t.test('tags and repositories are listed', async t => {
    t.same(await (await registry.fetch(`/v2/${REPOSITORY}/tags/list`)).json(), {
      name: REPOSITORY,
      tags: ['v1', 'v2'],
    })
    t.same(await (await registry.fetch('/v2/_catalog')).json(), { repositories: [REPOSITORY] })
  })

  await t.test('the image is still there after a restart', async t => {
    await restart()
    await checkPull(t, registry, { image, tag: 'v2', folder: options.folder })
  })

  await t.test('part of a blob is served', t => checkRange(t, registry, image))

  const chunked = seededBytes(
    'chunked',
    CHUNKS.reduce((total, size) => total + size, 0),
  )
  await t.test('a blob arrives in three chunks', async t => {
    await uploadInChunks(t, registry, chunked)
    layout.addBlob(REPOSITORY, sha256(chunked), chunked)
  })

  await t.test('an upload is cancelled', async t => {
    const id = await cancelUpload(t, registry)
    layout.addCancelledUpload(REPOSITORY, id, EMPTY_HASH_STATE)
  })

  await t.test('a deleted image is gone, and garbage collection frees its blobs', async t => {
    const old = makeImage(join(options.folder, 'old'), 'old', [2 * MiB])
    await registry.push(old, `${REPOSITORY}:old`)
    addImage(layout, REPOSITORY, old, 'old')
    await deleteManifest(t, registry, old)
    layout.deleteManifest(REPOSITORY, old.manifest, ['old'])
    await registry.stop()
    await collectGarbage(options)
    for (const digest of old.blobs.keys()) layout.collectBlob(digest)
    layout.collectBlob(sha256(chunked))
    registry = await Registry.start(t, options)
    await checkPull(t, registry, { image, tag: 'v1', folder: options.folder })
    const layer = await registry.fetch(`/v2/${REPOSITORY}/blobs/${old.layers[0]}`)
    t.equal(layer.status, 404, 'a collected layer is not served')
    await layer.arrayBuffer()
  })

  await registry.stop()
  return layout
}

function addImage(layout: RegistryLayout, repository: string, image: Image, tag: string): void {
  for (const [digest, content] of image.blobs) {
    if (digest === image.manifest) layout.addManifest(repository, digest, content)
    else layout.addBlob(repository, digest, content)
  }
  layout.addTag(repository, tag, image.manifest)
}

/** Pulls an image and compares every blob with what was pushed. */
export async function checkPull(
  t: Test,
  registry: Registry,
  wanted: { image: Image; tag: string; folder: string; repository?: string },
): Promise<void> {
  const { image, tag, folder, repository = REPOSITORY } = wanted
  const target = mkdtempSync(join(folder, 'pulled-'))
  const pulled = await registry.pull(`${repository}:${tag}`, target)
  t.equal(pulled.code, 0, `pull of ${tag}`)
  if (pulled.code !== 0) t.comment(pulled.stderr)
  else t.same(differences(image, target), [], `${tag} came back as pushed`)
}

async function checkRange(t: Test, registry: Registry, image: Image): Promise<void> {
  const digest = image.layers.at(-1) ?? ''
  const content = image.blobs.get(digest) ?? Buffer.alloc(0)
  const [first, last] = [1_000_000, 1_999_999]
  const answer = await registry.fetch(`/v2/${REPOSITORY}/blobs/${digest}`, {
    headers: { range: `bytes=${first}-${last}` },
  })
  t.equal(answer.status, 206)
  const part = Buffer.from(await answer.arrayBuffer())
  t.ok(part.equals(content.subarray(first, last + 1)), 'exactly the bytes asked for')
}

async function uploadInChunks(t: Test, registry: Registry, content: Buffer): Promise<void> {
  let { location } = await beginUpload(registry)
  let sent = 0
  for (const size of CHUNKS) {
    const answer = await sendChunk(registry, location, { content, from: sent, size })
    sent += size
    t.equal(answer.status, 202)
    t.equal(answer.headers.get('range'), `0-${sent - 1}`)
    const status = await registry.fetch(answer.headers.get('location') ?? '')
    t.equal(status.status, 204)
    t.equal(status.headers.get('range'), `0-${sent - 1}`, 'the status tells what has arrived')
    location = status.headers.get('location') ?? ''
  }
  const digest = sha256(content)
  const done = await registry.fetch(`${location}&digest=${digest}`, { method: 'PUT' })
  t.equal(done.status, 201)
  const back = await registry.fetch(`/v2/${REPOSITORY}/blobs/${digest}`)
  t.ok(Buffer.from(await back.arrayBuffer()).equals(content), 'the blob comes back')
}

/** @returns the upload's id */
async function cancelUpload(t: Test, registry: Registry): Promise<string> {
  const { location, id } = await beginUpload(registry)
  const content = seededBytes('cancelled', 6 * MiB)
  const answer = await sendChunk(registry, location, { content, from: 0, size: content.length })
  t.equal(answer.status, 202)
  const next = answer.headers.get('location') ?? ''
  const cancelled = await registry.fetch(next, { method: 'DELETE' })
  t.equal(cancelled.status, 204)
  return id
}

async function beginUpload(registry: Registry): Promise<{ location: string; id: string }> {
  const answer = await registry.fetch(`/v2/${REPOSITORY}/blobs/uploads/`, { method: 'POST' })
  return {
    location: answer.headers.get('location') ?? '',
    id: answer.headers.get('docker-upload-uuid') ?? '',
  }
}

async function sendChunk(
  registry: Registry,
  location: string,
  chunk: { content: Buffer; from: number; size: number },
): Promise<Response> {
  const { content, from, size } = chunk
  return await registry.fetch(location, {
    method: 'PATCH',
    headers: {
      'content-type': 'application/octet-stream',
      'content-range': `${from}-${from + size - 1}`,
    },
    body: new Uint8Array(content.subarray(from, from + size)),
  })
}

async function deleteManifest(t: Test, registry: Registry, image: Image): Promise<void> {
  const url = `/v2/${REPOSITORY}/manifests/`
  const deleted = await registry.fetch(url + image.manifest, { method: 'DELETE' })
  t.equal(deleted.status, 202)
  for (const reference of [image.manifest, 'old']) {
    const answer = await registry.fetch(url + reference)
    t.equal(answer.status, 404, `${reference} is gone`)
    await answer.arrayBuffer()
  }
}

/**
 * The state of Go's SHA-256 before the first byte, as `encoding.BinaryMarshaler` gives it: a magic
 * word, the eight initial hash values of FIPS 180-4, an empty block, a length of 0.
 */
const EMPTY_HASH_STATE = Buffer.concat([
  Buffer.from('sha\x03'),
  Buffer.from('6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19', 'hex'),
  Buffer.alloc(64),
  Buffer.alloc(8),
])
