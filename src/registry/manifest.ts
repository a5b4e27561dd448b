/**
 * What a manifest refers to: image manifests (Docker schema 2 and OCI), lists of manifests and OCI
 * indexes, artifacts with a subject, and Docker's schema 1. Pure.
 *
 * @see OCI image-spec manifest.md, image-index.md; distribution's manifest/schema1, schema2, manifestlist
 */
import type { Bytes } from '../util/units.js'
import { isDigest } from './layout.js'
import type { Digest } from './layout.js'

export interface Descriptor {
  readonly digest: Digest
  /** As the manifest says; absent in schema 1. */
  readonly size?: Bytes
  readonly mediaType?: string
  /** `linux/amd64`, in lists. */
  readonly platform?: string
}

export interface Manifest {
  readonly mediaType: string
  readonly artifactType?: string
  readonly config?: Descriptor
  /** Layers, or an artifact's blobs. */
  readonly layers: readonly Descriptor[]
  /** Children of a list or index. */
  readonly manifests: readonly Descriptor[]
  /** The manifest that this one says something about: a signature, a list of contents. */
  readonly subject?: Descriptor
}

/** @returns undefined for what is no manifest */
export function parseManifest(content: Uint8Array): Manifest | undefined {
  const json = parseJson(content)
  const record = asRecord(json)
  if (record === undefined) return undefined
  const layers = [
    ...descriptors(record['layers']),
    ...descriptors(record['blobs']),
    ...fsLayers(record),
  ]
  const manifests = descriptors(record['manifests'])
  const config = descriptor(record['config'])
  const subject = descriptor(record['subject'])
  const isManifest =
    layers.length > 0 ||
    config !== undefined ||
    Array.isArray(record['manifests']) ||
    subject !== undefined
  if (!isManifest) return undefined
  const { mediaType, artifactType } = record
  return {
    mediaType: typeof mediaType === 'string' ? mediaType : guess(record),
    layers,
    manifests,
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(config === undefined ? {} : { config }),
    ...(subject === undefined ? {} : { subject }),
  }
}

/** Everything that must be there for the manifest to be pulled. */
export function references({ config, layers, manifests }: Manifest): readonly Descriptor[] {
  return [...(config === undefined ? [] : [config]), ...layers, ...manifests]
}

function guess(record: Readonly<Record<string, unknown>>): string {
  if (record['schemaVersion'] === 1) return 'application/vnd.docker.distribution.manifest.v1+json'
  const kind = Array.isArray(record['manifests']) ? 'index' : 'manifest'
  return `application/vnd.oci.image.${kind}.v1+json`
}

function descriptors(value: unknown): Descriptor[] {
  if (!Array.isArray(value)) return []
  return value.flatMap(each => descriptor(each) ?? [])
}

function descriptor(value: unknown): Descriptor | undefined {
  const record = asRecord(value)
  const digest = record?.['digest']
  if (record === undefined || typeof digest !== 'string' || !isDigest(digest)) return undefined
  const { size, mediaType } = record
  const platform = asRecord(record['platform'])
  return {
    digest,
    ...(typeof size === 'number' && Number.isSafeInteger(size) && size >= 0 ? { size } : {}),
    ...(typeof mediaType === 'string' ? { mediaType } : {}),
    ...(platform === undefined
      ? {}
      : { platform: `${String(platform['os'])}/${String(platform['architecture'])}` }),
  }
}

/** Schema 1 names layers by `blobSum` alone. */
function fsLayers(record: Readonly<Record<string, unknown>>): Descriptor[] {
  const layers = record['fsLayers']
  if (!Array.isArray(layers)) return []
  return layers.flatMap(layer => {
    const digest = asRecord(layer)?.['blobSum']
    return typeof digest === 'string' && isDigest(digest) ? [{ digest }] : []
  })
}

function parseJson(content: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(content.buffer, content.byteOffset, content.length).toString())
  } catch {
    return undefined
  }
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return value as Record<string, unknown>
}
