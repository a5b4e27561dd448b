/**
 * Credentials, and those who give them. A provider is asked before every request, so it answers from
 * memory whenever it can; temporary credentials change underneath without anybody else noticing.
 */
import type { Secret } from '../../util/secret.js'

export interface BosCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret
  /** Of temporary (STS) credentials. */
  readonly sessionToken?: Secret
}

/**
 * Gives the credentials to sign with; called for every request. After the service refused some, it is
 * called with those, and may give others or the same.
 *
 * @throws AccessDeniedError when there are none to give
 */
export type CredentialsProvider = (
  refused?: BosCredentials,
) => BosCredentials | Promise<BosCredentials>

export function sameCredentials(a: BosCredentials, b: BosCredentials): boolean {
  return (
    a.accessKeyId === b.accessKeyId &&
    a.secretAccessKey.reveal() === b.secretAccessKey.reveal() &&
    a.sessionToken?.reveal() === b.sessionToken?.reveal()
  )
}

/** The same credentials for good. */
export function fixedCredentials(credentials: BosCredentials): CredentialsProvider {
  return () => credentials
}
