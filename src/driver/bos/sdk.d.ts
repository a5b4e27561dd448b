/**
 * The two classes of @baiducloud/sdk 1.0.7 that the transport is built on; the package declares no
 * types for them. They are loaded by file: the package's index loads twenty other clients as well.
 */

declare module '@baiducloud/sdk/src/auth.js' {
  /** Signs requests (bce-auth-v1). Keeps no state but the keys. */
  class Auth {
    constructor(ak: string, sk: string)
    /**
     * @param resource    the percent-encoded path
     * @param params      query: values raw; names must already be percent-encoded
     * @param timestamp   seconds since 1970
     * @param expiration  seconds; default 1800
     * @param headersToSign  default host, content-md5, content-length, content-type; `x-bce-*` always
     */
    generateAuthorization(
      method: string,
      resource: string,
      params: Readonly<Record<string, string>>,
      headers: Readonly<Record<string, string>>,
      timestamp: number,
      expiration?: number,
      headersToSign?: readonly string[],
    ): string
    /** @returns the canonical headers, and the names of those that are signed, in their order */
    headersCanonicalization(
      headers: Readonly<Record<string, string>>,
      headersToSign?: readonly string[],
    ): [string, string[]]
    /** @returns HMAC-SHA256 in hex; called with the secret first, and then with what that gave */
    hash(data: string, key: string): string
    /** @param timestamp  seconds since 1970 */
    getTimestamp(timestamp: number): string
  }
  export = Auth
}

declare module '@baiducloud/sdk/src/bos_client.js' {
  interface RequestArguments {
    bucketName?: string
    key?: string
    body?: unknown
    headers?: Record<string, string>
    params?: Record<string, string>
    /** Anything else is handed through to `sendHTTPRequest`. */
    [name: string]: unknown
  }

  class BosClient {
    constructor(config: Readonly<Record<string, unknown>>)
    /** Completes the arguments and calls `sendHTTPRequest`; makes `resource` of bucket and key if absent. */
    sendRequest(method: string, args: RequestArguments, resource?: string): unknown
    /** Sends one request; made to be overridden. `resource` has lost what normalisation removes. */
    sendHTTPRequest(
      method: string,
      resource: string,
      args: RequestArguments,
      config: Readonly<Record<string, unknown>>,
    ): unknown
  }
  export = BosClient
}
