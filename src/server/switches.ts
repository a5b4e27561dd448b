/**
 * Where sources about BOS disagree, or a test wants the odd case, the server can be told which way to
 * go. The defaults are what a client must at least cope with.
 */
import { KiB, parseBytes, type Bytes } from '../util/units.js'

export interface Switches {
  /** Smallest part that is not the last, checked at Complete. Default 100 KiB; older documents say 5 MiB. */
  readonly minPartSize: Bytes
  /**
   * Accept `/<bucket>/<key>`. Buckets made after 2024-06-01 take the virtual-host form only.
   * Default true.
   */
  readonly pathStyle: boolean
  /**
   * User metadata of one object, names with prefix and values together. Default 2048; 32 KiB was
   * seen too.
   */
  readonly metadataLimit: Bytes
  /** Refuse keys with a leading `/`, `//`, or a `.` or `..` component. Default true. */
  readonly keyRules: boolean
  /** Status of a range on an empty object. Default 400. */
  readonly rangeOnEmpty: 400 | 416
  /** RenameObject works on flat buckets too. Default false: 501. Hierarchical ones always have it. */
  readonly renameObject: boolean
  /** RenameObject replaces an object at its target. Default true; false: 409 RenameConflict. */
  readonly renameReplaces: boolean
  /** Most things that one recursive delete of a directory deletes; it is atomic up to that. Default 1000. */
  readonly recursiveDeleteLimit: number
  /** Honour `x-bce-list-with-ext-meta`. Default false. */
  readonly listWithMetadata: boolean
  /** CopyObject heeds If-Match, If-None-Match and x-bce-forbid-overwrite on its target. Default false. */
  readonly copyTargetConditions: boolean
  /**
   * CompleteMultipartUpload takes `x-bce-meta-*`, as SDKs have it and no document; else they are
   * dropped. Default true.
   */
  readonly completeMetadata: boolean
  /** Refuse an authorization that names signed headers but not `host`. Default true. */
  readonly hostSigned: boolean
}

export const DEFAULT_SWITCHES: Switches = {
  minPartSize: 100 * KiB,
  pathStyle: true,
  metadataLimit: 2 * KiB,
  keyRules: true,
  rangeOnEmpty: 400,
  renameObject: false,
  renameReplaces: true,
  recursiveDeleteLimit: 1000,
  listWithMetadata: false,
  copyTargetConditions: false,
  completeMetadata: true,
  hostSigned: true,
}

/**
 * Reads `NAME=VALUE`; a name alone stands for `NAME=true`.
 * @throws Error that names what there is
 */
export function parseSwitch(text: string): Partial<Switches> {
  const [name = '', value = 'true'] = text.split(/=(.*)/s, 2)
  const initial = Object.entries(DEFAULT_SWITCHES).find(([known]) => known === name)?.[1]
  if (initial === undefined) {
    const names = Object.keys(DEFAULT_SWITCHES).join(', ')
    throw new Error(`there is no switch '${name}'; the switches are ${names}`)
  }
  const parsed = typeof initial === 'boolean' ? parseBoolean(value) : parseBytes(value)
  const isStatus = name === 'rangeOnEmpty'
  if (parsed === undefined || (isStatus && parsed !== 400 && parsed !== 416)) {
    const wanted = typeof initial === 'boolean' ? 'true or false' : 'a number or size'
    throw new Error(`the switch ${name} is ${isStatus ? '400 or 416' : wanted}, not '${value}'`)
  }
  return { [name]: parsed }
}

function parseBoolean(text: string): boolean | undefined {
  if (text === 'true') return true
  return text === 'false' ? false : undefined
}
