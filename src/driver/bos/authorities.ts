/** Reads a file of certificate authorities, once, when a driver is made. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DriverError } from '../errors.js'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * @returns the certificates, PEM
 * @throws DriverError that names the file when it cannot be read or holds no certificate
 */
export function readAuthorities(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new DriverError(`cannot read cafile ${path}: ${code}`, { driver: 'bos', cause: error })
  }
  const certificates = text.match(CERTIFICATE) ?? []
  if (certificates.length === 0) {
    throw new DriverError(`cafile ${path} holds no PEM certificate`, { driver: 'bos' })
  }
  for (const [index, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate)
    } catch (error) {
      const message = `cafile ${path}: certificate ${index + 1} of ${certificates.length} is damaged`
      throw new DriverError(message, { driver: 'bos', cause: error })
    }
  }
  return certificates.join('\n')
}
