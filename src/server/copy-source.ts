/** The x-bce-copy-source header: `/<bucket>/<percent-encoded key>[?versionId=…]`. */
import { followLink, type Context } from './context.js'
import { ServiceError } from './errors.js'
import type { Exchange } from './exchange.js'
import { checkKey, uriDecode } from './names.js'
import type { ObjectAddress } from './store.js'

/** @throws ServiceError InvalidArgument, InvalidObjectName, InvalidURI, NotImplemented, NoSuchBucket */
export function readCopySource(exchange: Exchange, context: Context): ObjectAddress {
  const [encoded = '', version] = splitVersion(exchange.header('x-bce-copy-source') ?? '')
  if (version !== undefined) {
    throw new ServiceError('NotImplemented', { message: 'There are no versions here.' })
  }
  const path = uriDecode(encoded).replace(/^\//, '')
  const slash = path.indexOf('/')
  if (slash <= 0) {
    throw new ServiceError('InvalidArgument', { message: 'x-bce-copy-source is not /bucket/key.' })
  }
  const source = { bucket: path.slice(0, slash), key: path.slice(slash + 1) }
  checkKey(source.key, context.switches.keyRules)
  if (context.store.bucket(source.bucket) === undefined) throw new ServiceError('NoSuchBucket')
  return followLink(source, context)
}

function splitVersion(source: string): readonly string[] {
  const at = source.indexOf('?')
  return at === -1 ? [source] : [source.slice(0, at), source.slice(at + 1)]
}
