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
    await api.headBucket({ signal })
  } catch (refused) {
    if (!(refused instanceof BosError)) throw refused
    if (refused.kind !== 'response') throw explain(refused, context, parameters)
    try {
      await api.list({ prefix: keys.rootPrefix, maxKeys: 1 }, { signal })
    } catch (error) {
      if (!(error instanceof BosError)) throw error
      throw explain(error, context, parameters)
    }
  }
}

/** What to change, by code. */
function advice(code: string | undefined, parameters: BosParameters): string | undefined {
  const { bucket, endpoint, accesskeyid, region } = parameters
  switch (code) {
    case 'NoSuchBucket':
      return (
        `bucket ${bucket} does not exist at ${endpoint}: ` +
        'create it, or correct bucket, region or endpoint'
      )
    case 'InvalidAccessKeyId':
      return `access key id ${accesskeyid} is not known at ${endpoint}: correct accesskeyid`
    case 'SignatureDoesNotMatch':
      return `accesskeysecret does not belong to access key id ${accesskeyid}: correct it`
    case 'InvalidSessionToken':
      return 'the session token is wrong or has expired: get new temporary credentials'
    case 'RequestTimeTooSkewed':
    case 'RequestExpired':
      return 'the clock of this machine is wrong: set it'
    case 'AccessDenied':
      return (
        `access key id ${accesskeyid} may not use bucket ${bucket} in region ${region}: ` +
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
    const message = `the certificate of ${endpoint} is not trusted: ${error.message}`
    return new DriverError(message, options)
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
