/**
 * Where a bucket's requests go: the host, and whether the bucket is named in the host, in the path, or
 * nowhere because the host is the bucket's own.
 *
 * @see https://cloud.baidu.com/doc/BOS/s/akrqd2wcx
 */

/** Region to endpoint host. */
export const REGION_ENDPOINTS: Readonly<Record<string, string>> = {
  bj: 'bj.bcebos.com',
  bd: 'bd.bcebos.com',
  su: 'su.bcebos.com',
  gz: 'gz.bcebos.com',
  cd: 'cd.bcebos.com',
  yq: 'yq.bcebos.com',
  hkg: 'hkg.bcebos.com',
  fwh: 'fwh.bcebos.com',
  fsh: 'fsh.bcebos.com',
}

/**
 * - `virtual`: the bucket is the first label of the host;
 * - `path`: the bucket is the first component of the path;
 * - `cname`: the endpoint is the bucket's own host, such as a domain bound to it;
 * - `auto`: virtual at `*.bcebos.com`, which refuses path style for buckets made since 2024-06; path
 *   elsewhere (addresses, localhost, other names).
 */
export const ADDRESSINGS = ['auto', 'virtual', 'path', 'cname'] as const

export type AddressingStyle = (typeof ADDRESSINGS)[number]

/** The parts of an endpoint that are no secret and fit for a request. */
export interface ParsedEndpoint {
  readonly scheme: 'http' | 'https' | undefined
  /** Host, with its port if one is given. */
  readonly host: string
}

/** Reads a host, host:port or URL; undefined for anything that has more to it. */
export function parseEndpoint(text: string): ParsedEndpoint | undefined {
  const match = /^(?:(https?):\/\/)?([^/?#@\s]+)\/?$/i.exec(text)
  const host = match?.[2]
  if (match === null || host === undefined) return undefined
  if (!URL.canParse(`http://${host}`) || host.endsWith(':')) return undefined
  const scheme = match[1]?.toLowerCase()
  return {
    scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined,
    host: host.toLowerCase(),
  }
}

/** Drops a bucket in front of a bcebos.com host: it is put there again for every request. */
export function withoutBucket(host: string, bucket: string): string {
  const prefix = `${bucket}.`
  const isVirtual = bucket !== '' && host.startsWith(prefix) && isBcebos(host.slice(prefix.length))
  return isVirtual ? host.slice(prefix.length) : host
}

function isBcebos(host: string): boolean {
  return /^[^.]+(\.[^.]+)*\.bcebos\.com(:\d+)?$/.test(host)
}

/** Whether a host is an address, which has no labels to put a bucket in front of. */
export function isAddress(host: string): boolean {
  return host.startsWith('[') || /^\d{1,3}(\.\d{1,3}){3}(:\d+)?$/.test(host)
}

export interface Addressing {
  /** Scheme, host and port. */
  readonly origin: string
  /** In front of every key's slash: empty, or `/bucket`. */
  readonly pathPrefix: string
}

export interface AddressingInput {
  /** Scheme, host and port. */
  readonly endpoint: string
  readonly bucket: string
  /** Default `auto`. */
  readonly addressing?: AddressingStyle
}

/** Where to send the requests of a bucket. */
export function addressing(input: AddressingInput): Addressing {
  const { endpoint, bucket, addressing: wanted = 'auto' } = input
  const url = new URL(endpoint)
  const style = wanted === 'auto' ? (isBcebos(url.host) ? 'virtual' : 'path') : wanted
  if (style === 'virtual') {
    return { origin: `${url.protocol}//${bucket}.${url.host}`, pathPrefix: '' }
  }
  return { origin: url.origin, pathPrefix: style === 'path' ? `/${bucket}` : '' }
}
