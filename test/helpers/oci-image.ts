/**
 * Container images made of seeded random bytes, in the OCI image layout that skopeo copies from.
 *
 * Every layer is a real gzipped tar with one file in it, so that any tool can unpack the image; the
 * same seed and sizes give the same image.
 */
import { createCipheriv, createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Bytes } from '../../src/util/units.js'

export interface Image {
  /** The layout's folder. */
  readonly folder: string
  /** The name of the image in the layout. */
  readonly tag: string
  /** `sha256:…` */
  readonly manifest: string
  readonly config: string
  readonly layers: readonly string[]
  /** Content by digest: manifest, config and layers. */
  readonly blobs: ReadonlyMap<string, Buffer>
}

/** Bytes that do not compress and are the same for the same seed. */
export function seededBytes(seed: string, length: Bytes): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length))
}

export function sha256(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** Writes an image whose layers hold a file of each of `sizes` bytes into a new folder. */
export function makeImage(folder: string, seed: string, sizes: readonly Bytes[]): Image {
  const tag = 'latest'
  const blobs = new Map<string, Buffer>()
  const add = (content: Buffer) => {
    const digest = sha256(content)
    blobs.set(digest, content)
    return { digest, size: content.length }
  }
  const tars = sizes.map((size, index) =>
    tarOf(`layer-${index}.bin`, seededBytes(`${seed} ${index}`, size)),
  )
  // Nothing to gain by compressing random bytes: level 1 is fast.
  const layers = tars.map(tar => add(gzipSync(tar, { level: 1 })))
  const config = add(
    json({ ...PLATFORM, config: {}, rootfs: { type: 'layers', diff_ids: tars.map(sha256) } }),
  )
  const manifest = add(
    json({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
      layers: layers.map(layer => ({
        mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
        ...layer,
      })),
    }),
  )
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: MANIFEST,
        ...manifest,
        platform: PLATFORM,
        annotations: { 'org.opencontainers.image.ref.name': tag },
      },
    ],
  })
  mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true })
  writeFileSync(join(folder, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }))
  writeFileSync(join(folder, 'index.json'), index)
  for (const [digest, content] of blobs) writeFileSync(blobPath(folder, digest), content)
  return {
    folder,
    tag,
    blobs,
    manifest: manifest.digest,
    config: config.digest,
    layers: layers.map(({ digest }) => digest),
  }
}

/** What differs between an image and the layout in `folder`; nothing if every blob is the same. */
export function differences(image: Image, folder: string): string[] {
  const found = new Set(readdirSync(join(folder, 'blobs', 'sha256')).map(hex => `sha256:${hex}`))
  const unknown = [...found].filter(digest => !image.blobs.has(digest))
  return [
    ...unknown.map(digest => `${digest} is not of this image`),
    ...[...image.blobs].flatMap(([digest, content]) => {
      if (!found.has(digest)) return [`${digest} is missing`]
      return readFileSync(blobPath(folder, digest)).equals(content) ? [] : [`${digest} differs`]
    }),
  ]
}

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const PLATFORM = { architecture: 'amd64', os: 'linux' }

function blobPath(folder: string, digest: string): string {
  return join(folder, 'blobs', ...digest.split(':'))
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** A tar archive, in the ustar format, of one file. */
function tarOf(name: string, content: Buffer): Buffer {
  const BLOCK = 512
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0)
  header.write('0000644\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write('0', 156)
  header.write('ustar\0', 257)
  header.write('00', 263)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const padding = (BLOCK - (content.length % BLOCK)) % BLOCK
  return Buffer.concat([header, content, Buffer.alloc(padding + 2 * BLOCK)])
}
