/**
 * The check at start: can this bucket be used with these parameters? If not, the error says which of
 * them to change. HEAD answers without a body, so a refused HEAD is followed by a listing of one key,
 * whose error has a code.
 */
import { AccessDeniedError, DriverError, NotFoundError, TimeoutError } from '../errors.js'
import type { DriverErrorOptions } from '../errors.js'
import type { BosParameters } from '../parameters.js'
import type { BosContext } from './context.js'
import { BosError } from './error.js'

export async function checkBucket(
  context: BosContext,
  parameters: BosParameters,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<void> {
  const { api, keys } = context
  try {
    const headers = await api.headBucket({ signal })
    context.learned.hierarchical = headers['x-bce-bucket-type'] === 'namespace'
  } catch (refused) {
    if (!(refused instanceof BosError)) throw refused
    if (refused.kind !== 'response') throw explain(refused, context, parameters)
    try {
      await api.list({ prefix: keys.rootPrefix, delimiter: '/', maxKeys: 1 }, { signal })
    } catch (error) {
      if (!(error instanceof BosError)) throw error
      throw explain(error, context, parameters)
    }
  }
}

/** What to change, by code. */
function advice(code: string | undefined, parameters: BosParameters): string | undefined {
  const { bucket, endpoint, region, accesskeyid } = parameters
  const key = accesskeyid === undefined ? 'the access key id' : `access key id ${accesskeyid}`
  switch (code) {
    case 'NoSuchBucket':
      return (
        `bucket ${bucket} does not exist at ${endpoint}: ` +
        'create it, or correct bucket, region or endpoint'
      )
    case 'InvalidAccessKeyId':
      return `${key} is not known at ${endpoint}: correct accesskeyid`
    case 'SignatureDoesNotMatch':
      return `accesskeysecret does not belong to ${key}: correct it`
    case 'InvalidSessionToken':
      return 'the session token is wrong or has expired: get new temporary credentials'
    case 'RequestTimeTooSkewed':
    case 'RequestExpired':
      return 'the clock of this machine is wrong: set it'
    case 'AccessDenied':
      return (
        `${key} may not use bucket ${bucket} in region ${region}: ` +
        'grant it reading and listing, or correct bucket or region'
      )
    default:
      return undefined
  }
}

function explain(error: BosError, { name }: BosContext, parameters: BosParameters): DriverError {
  const { bucket, endpoint } = parameters
  const options: DriverErrorOptions = { driver: name, cause: error }
  if (error.code !== undefined) options.serviceCode = error.code
  if (error.requestId !== undefined) options.requestId = error.requestId
  if (error.kind === 'tls') {
    return new DriverError(`${tlsProblem(error, endpoint)}: ${error.message}`, options)
  }
  if (error.kind !== 'response') {
    const message = `cannot reach ${endpoint}: ${error.message}; check endpoint, region and network`
    return error.kind === 'timeout'
      ? new TimeoutError(message, options)
      : new DriverError(message, options)
  }
  const message =
    advice(error.code, parameters) ?? `bucket ${bucket} at ${endpoint}: ${error.message}`
  if (error.status === 404) return new NotFoundError(message, options)
  const refused = [400, 401, 403].includes(error.status ?? 0)
  return refused ? new AccessDeniedError(message, options) : new DriverError(message, options)
}

const NO_TLS = /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|ERR_SSL_HTTP_REQUEST/
const EXPIRED = /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/

/** Which of the things that TLS checks was wrong, and what to change. */
function tlsProblem({ message }: BosError, endpoint: string): string {
  const server = `the certificate of ${endpoint}`
  if (NO_TLS.test(message)) {
    return `${endpoint} does not speak TLS: correct endpoint, or set secure to false`
  }
  if (message.includes('ERR_TLS_CERT_ALTNAME_INVALID')) {
    return `${server} is for another host name: correct endpoint`
  }
  if (EXPIRED.test(message)) {
    return `${server} is not valid at this time: have it renewed, or set the clock of this machine`
  }
  return `${server} is from an unknown authority: set cafile to that authority's certificate`
}
