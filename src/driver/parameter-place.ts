/** Where the service is and whom to trust on the way: region, endpoint, addressing, TLS, proxy. */
import { nearest } from '../util/nearest.js'
import { Secret } from '../util/secret.js'
import {
  ADDRESSINGS,
  isAddress,
  parseEndpoint,
  REGION_ENDPOINTS,
  withoutBucket,
} from './endpoint.js'
import { DEFAULT_REGION, type BosParameters, type Parameters } from './parameter-names.js'

function readRegion(reading: Parameters, hasEndpoint: boolean): string {
  const known = Object.keys(REGION_ENDPOINTS)
  const list = `one of ${known.join(', ')}`
  if (reading.value('region') === undefined) {
    if (!hasEndpoint) reading.mistakes.push(`region is missing: set it to ${list}, or set endpoint`)
    return DEFAULT_REGION
  }
  const region = reading.text('region') ?? DEFAULT_REGION
  if (hasEndpoint || known.includes(region)) return region
  const near = nearest(region, known)
  const suggestion = near === undefined ? '' : ` (did you mean ${near}?)`
  reading.mistakes.push(
    `region ${JSON.stringify(region)} is not known${suggestion}: set it to ${list}, or set endpoint`,
  )
  return region
}

type Location = Pick<BosParameters, 'endpoint' | 'secure' | 'addressing' | 'redirectendpoint'>

function readLocation(reading: Parameters, region: string, bucket: string): Location {
  const explicit = reading.flag('secure')
  const style = reading.choice('addressing', ADDRESSINGS) ?? 'auto'
  const text = reading.text('endpoint')
  const fallback = REGION_ENDPOINTS[region] ?? `${DEFAULT_REGION}.bcebos.com`
  const parsed = parseEndpoint(text ?? fallback)
  if (parsed === undefined) {
    reading.mistakes.push(
      'endpoint must be a host, host:port or http(s) URL without path, query or user name',
    )
    return { endpoint: '', secure: explicit ?? true, addressing: style }
  }
  const { scheme, host } = parsed
  if (scheme !== undefined && explicit !== undefined && (scheme === 'https') !== explicit) {
    reading.mistakes.push(
      `endpoint says ${scheme} but secure is ${explicit}: drop one of the two, or make them agree`,
    )
  }
  if (style === 'virtual' && isAddress(host)) {
    reading.mistakes.push('addressing virtual needs a host name: an address cannot name the bucket')
  }
  if (style === 'cname' && text === undefined) {
    reading.mistakes.push("addressing cname needs endpoint: the bucket's own host")
  }
  const secure = scheme === undefined ? (explicit ?? true) : scheme === 'https'
  const named = style === 'cname' ? host : withoutBucket(host, bucket)
  const redirect = readRedirectEndpoint(reading, bucket, secure)
  return {
    endpoint: new URL(`${secure ? 'https' : 'http'}://${named}`).origin,
    secure,
    addressing: style,
    ...(redirect === undefined ? {} : { redirectendpoint: redirect }),
  }
}

function readRedirectEndpoint(
  reading: Parameters,
  bucket: string,
  secure: boolean,
): string | undefined {
  const text = reading.text('redirectendpoint')
  if (text === undefined) return undefined
  const parsed = parseEndpoint(text)
  if (parsed === undefined) {
    reading.mistakes.push('redirectendpoint must be a host, host:port or http(s) URL')
    return undefined
  }
  const scheme = parsed.scheme ?? (secure ? 'https' : 'http')
  return new URL(`${scheme}://${withoutBucket(parsed.host, bucket)}`).origin
}

type Tls = Pick<BosParameters, 'cafile' | 'skipverify' | 'proxy'>

function readTls(reading: Parameters, secure: boolean): Tls {
  const cafile = reading.text('cafile')
  const skipverify = reading.flag('skipverify') ?? false
  if (cafile !== undefined && skipverify) {
    reading.mistakes.push('cafile says whom to trust and skipverify to trust anybody: leave one')
  }
  if (!secure && cafile !== undefined) {
    reading.mistakes.push(
      'cafile is for HTTPS, but the endpoint is plain HTTP: drop one of the two',
    )
  }
  const proxy = readProxy(reading)
  return {
    skipverify,
    ...(cafile === undefined ? {} : { cafile }),
    ...(proxy === undefined ? {} : { proxy }),
  }
}

function readProxy(reading: Parameters): Secret | undefined {
  const text = reading.text('proxy')
  if (text === undefined) return undefined
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/') {
    return new Secret(text)
  }
  reading.mistakes.push('proxy must be a URL such as http://proxy.example.com:3128')
  return undefined
}

/** Reads everything that says where the bucket is to be reached. */
export function readPlace(
  reading: Parameters,
  bucket: string,
): Pick<BosParameters, 'region'> & Location & Tls {
  const region = readRegion(reading, reading.value('endpoint') !== undefined)
  const location = readLocation(reading, region, bucket)
  return { region, ...location, ...readTls(reading, location.secure) }
}
