/**
 * Attributes as metadata of objects, and back. Pure.
 *
 * The names and formats are those of Baidu's own bosfs, so that either reads what the other wrote:
 * `bosfs-mode` (the whole st_mode, type bits included), `bosfs-uid`, `bosfs-gid` and `bosfs-mtime`
 * (seconds) in decimal, `bosfs-xattr` as `name:base64;…`. What bosfs cannot say goes under names of
 * ours: `bosmount-mtime` has nanoseconds too, and counts only as long as `bosfs-mtime` agrees with
 * it; `bosmount-rdev` is the `major:minor` of a device; `bosmount-target` repeats the target of a
 * symbolic link, whose content is the target, so that readlink(2) needs no request.
 *
 * Metadata under other names is somebody else's and is handed through.
 */
import type { Metadata } from '../../driver/driver.js'
import type { Timestamp } from '../operations.js'
import { S_IFDIR, S_IFMT, S_IFREG } from './attributes.js'

/** What an object's metadata says about the file; absent: nothing. */
export interface StoredAttributes {
  /** Type bits and permissions. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtime?: Timestamp
  /** Device number as the kernel encodes it. */
  readonly rdev?: number
  readonly target?: string
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

const MODE = 'bosfs-mode'
const UID = 'bosfs-uid'
const GID = 'bosfs-gid'
const SECONDS = 'bosfs-mtime'
const XATTRS = 'bosfs-xattr'
const MTIME = 'bosmount-mtime'
const RDEV = 'bosmount-rdev'
const TARGET = 'bosmount-target'
const OURS: ReadonlySet<string> = new Set([MODE, UID, GID, SECONDS, XATTRS, MTIME, RDEV, TARGET])

/** Longer ones are left to the content, so that owner and mode always fit. */
const LONGEST_TARGET = 1024

/** Names of `bosfs-…` are read without their prefix too, as bosfs does. */
function numberOf(metadata: Metadata, name: string, radix?: number): number | undefined {
  const text = metadata[name] ?? metadata[name.replace(/^bosfs-/, '')]
  if (text === undefined) return undefined
  // As strtol(3) with base 0 reads it.
  const value = /^0[0-7]+$/.test(text) ? Number.parseInt(text, radix ?? 8) : Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

function idOf(metadata: Metadata, name: string): number | undefined {
  const id = numberOf(metadata, name, 10)
  return id !== undefined && id >= 0 && id < 2 ** 32 - 1 ? id : undefined
}

export function decodeAttributes(metadata: Metadata): StoredAttributes {
  const mode = numberOf(metadata, MODE)
  const [uid, gid] = [idOf(metadata, UID), idOf(metadata, GID)]
  const mtime = mtimeOf(metadata)
  const rdev = rdevOf(metadata[RDEV])
  const target = targetOf(metadata[TARGET])
  return {
    ...(mode !== undefined && mode >= 0 && mode <= 0o177777 && { mode }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(mtime !== undefined && { mtime }),
    ...(rdev !== undefined && { rdev }),
    ...(target !== undefined && { target }),
    xattrs: decodeXattrs(metadata[XATTRS] ?? ''),
  }
}

/** Attributes in place of those that `before` has; what is not ours stays. */
export function encodeAttributes(attributes: StoredAttributes, before: Metadata = {}): Metadata {
  const { mode, uid, gid, mtime, rdev, target, xattrs } = attributes
  const others = Object.entries(before).filter(([name]) => !OURS.has(name))
  const encodedTarget = target === undefined ? undefined : encodeURIComponent(target)
  const encodedXattrs = encodeXattrs(xattrs)
  return {
    ...Object.fromEntries(others),
    ...(mode !== undefined && { [MODE]: String(mode) }),
    ...(uid !== undefined && { [UID]: String(uid) }),
    ...(gid !== undefined && { [GID]: String(gid) }),
    ...(mtime !== undefined && { [SECONDS]: String(mtime.seconds) }),
    ...(mtime !== undefined && mtime.nanoseconds !== 0 && { [MTIME]: encodeTime(mtime) }),
    ...(rdev !== undefined && rdev !== 0 && { [RDEV]: encodeRdev(rdev) }),
    ...(encodedTarget !== undefined &&
      encodedTarget.length <= LONGEST_TARGET && { [TARGET]: encodedTarget }),
    ...(encodedXattrs !== '' && { [XATTRS]: encodedXattrs }),
  }
}

/** Metadata for content that was written without regard to attributes: the time is not true any more. */
export function withoutTime(metadata: Metadata): Metadata {
  const { [SECONDS]: _seconds, [MTIME]: _mtime, mtime: _plain, ...rest } = metadata
  return rest
}

/** Type bits; a regular file if the metadata says nothing, or that it is a directory. */
export function typeIn(metadata: Metadata): number {
  const type = (decodeAttributes(metadata).mode ?? 0) & S_IFMT
  return type === 0 || type === S_IFDIR ? S_IFREG : type
}

/** Whether the metadata says when the file was changed. */
export function hasTime(metadata: Metadata): boolean {
  return mtimeOf(metadata) !== undefined
}

function encodeTime({ seconds, nanoseconds }: Timestamp): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}`
}

function mtimeOf(metadata: Metadata): Timestamp | undefined {
  const seconds = numberOf(metadata, SECONDS, 10)
  if (seconds === undefined) return undefined
  const exact = /^(-?\d+)\.(\d{9})$/.exec(metadata[MTIME] ?? '')
  // Somebody who knows whole seconds only may have set another time since.
  const nanoseconds = exact !== null && Number(exact[1]) === seconds ? Number(exact[2]) : 0
  return { seconds, nanoseconds }
}

/** The kernel's new_encode_dev: 12 bits of major, 20 of minor, linux/kdev_t.h. */
function encodeRdev(rdev: number): string {
  const major = (rdev >>> 8) & 0xfff
  const minor = (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)
  return `${major}:${minor}`
}

function rdevOf(text: string | undefined): number | undefined {
  const parts = /^(\d{1,4}):(\d{1,7})$/.exec(text ?? '')
  if (parts === null) return undefined
  const [major, minor] = [Number(parts[1]), Number(parts[2])]
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

function targetOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function encodeXattrs(xattrs: ReadonlyMap<string, Uint8Array>): string {
  return [...xattrs]
    .map(([name, value]) => `${encodeName(name)}:${Buffer.from(value).toString('base64')}`)
    .join(';')
}

/** A name may hold any byte; what is not plain, or would end it, is percent-encoded. */
function encodeName(name: string): string {
  return name.replaceAll(/[^\w.\-@/+]/gu, character => encodeURIComponent(character))
}

function decodeXattrs(text: string): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>()
  for (const entry of text.split(';')) {
    const colon = entry.indexOf(':')
    const name = targetOf(entry.slice(0, Math.max(0, colon)))
    if (name === undefined || name === '') continue
    xattrs.set(name, Buffer.from(entry.slice(colon + 1), 'base64'))
  }
  return xattrs
}
