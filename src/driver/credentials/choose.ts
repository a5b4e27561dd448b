/** Which provider the parameters of a driver ask for. */
import type { Clock } from '../../util/clock.js'
import type { Logger } from '../../util/log.js'
import type { BosParameters } from '../parameters.js'
import { ParameterError } from '../parameters.js'
import { fixedCredentials, type CredentialsProvider } from './credentials.js'
import { credentialsFromCommand } from './from-command.js'
import { credentialsFromFile } from './from-file.js'

/** @throws ParameterError for parameters without credentials, which `parseBosParameters` never gives */
export function chooseCredentials(
  parameters: BosParameters,
  options: { clock?: Clock; log: Logger },
): CredentialsProvider {
  const { credentialsfile: path, credentialscommand: command } = parameters
  if (path !== undefined) return credentialsFromFile({ path, ...options })
  if (command !== undefined) return credentialsFromCommand({ command, ...options })
  const { accesskeyid, accesskeysecret, sessiontoken } = parameters
  if (accesskeyid === undefined || accesskeysecret === undefined) {
    throw new ParameterError(['accesskeyid and accesskeysecret are missing'])
  }
  return fixedCredentials({
    accessKeyId: accesskeyid,
    secretAccessKey: accesskeysecret,
    ...(sessiontoken === undefined ? {} : { sessionToken: sessiontoken }),
  })
}
