/**
 * Rules for bucket names and object keys, and the percent-encoding that BOS calls UriEncode. Pure.
 */
import { ServiceError } from './errors.js'

/** Bytes of UTF-8 that a key may have. */
const MAX_KEY_BYTES = 1024

/** 3 to 63 of lower-case letters, digits and inner hyphens. */
export function isBucketName(name: string): boolean {
  return /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name)
}

/** @throws ServiceError InvalidBucketName */
export function checkBucketName(name: string): void {
  if (!isBucketName(name)) {
    throw new ServiceError('InvalidBucketName', {
      message: `The bucket name ${JSON.stringify(name)} is not 3 to 63 lower-case letters, digits and inner hyphens.`,
    })
  }
}

/**
 * @param rules false lets a leading `/`, `//`, `.` and `..` pass
 * @throws ServiceError InvalidObjectName, or InvalidURI for a `.` component
 */
export function checkKey(key: string, rules: boolean): void {
  if (key === '') throw new ServiceError('InvalidObjectName', { message: 'The key is empty.' })
  if (key.length > MAX_KEY_BYTES || Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new ServiceError('InvalidObjectName', {
      message: `The key is longer than ${MAX_KEY_BYTES} bytes.`,
    })
  }
  if (key.includes('\0')) {
    throw new ServiceError('InvalidObjectName', { message: 'The key contains a NUL character.' })
  }
  if (rules) checkComponents(key)
}

function checkComponents(key: string): void {
  if (key.startsWith('/') || key.includes('//')) {
    throw new ServiceError('InvalidObjectName', {
      message: 'The key starts with "/" or contains "//".',
    })
  }
  if (!key.includes('.')) return
  const components = key.split('/')
  if (components.includes('..')) {
    throw new ServiceError('InvalidObjectName', { message: 'The key has a ".." component.' })
  }
  if (components.includes('.')) {
    throw new ServiceError('InvalidURI', { message: 'The key has a "." component.' })
  }
}

/** Percent-encodes UTF-8 but for `A-Za-z0-9-_.~`, in upper-case hex. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** `uriEncode` that keeps `/`. */
export function uriEncodePath(path: string): string {
  return uriEncode(path).replaceAll('%2F', '/')
}

/** @throws ServiceError InvalidURI for a broken escape or bytes that are not UTF-8 */
export function uriDecode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new ServiceError('InvalidURI', { cause })
  }
}
