/** From inode records to what stat(2) shows. Pure. */
import type { Milliseconds } from '../../util/units.js'
import type { Attributes, Timestamp } from '../operations.js'
import type { Inode } from './inode.js'

export const S_IFMT = 0o170000
export const S_IFREG = 0o100000
export const S_IFDIR = 0o040000
export const S_IFLNK = 0o120000
export const S_ISUID = 0o4000
export const S_ISGID = 0o2000
export const S_IXGRP = 0o010
/** Permission bits with setuid, setgid and sticky. */
export const PERMISSIONS = 0o7777

/** What inodes without attributes of their own have. */
export interface AttributeDefaults {
  readonly uid: number
  readonly gid: number
  /** Permission bits. */
  readonly fileMode: number
  readonly directoryMode: number
}

/** Unit of st_blocks, whatever the file system (stat(2)). */
const BLOCK = 512
/** Programs such as cp read and write in units of st_blksize. */
const PREFERRED_IO = 128 * 1024
/** What directories report; ext4 shows the same for small ones. */
const DIRECTORY_SIZE = 4096

export function attributesOf(inode: Inode, defaults: AttributeDefaults): Attributes {
  const { overrides } = inode
  const isFile = inode.kind === 'file'
  const size = isFile ? sizeOf(inode) : DIRECTORY_SIZE
  const mtime = overrides.mtime ?? timestamp(modificationTime(inode))
  const usual = isFile ? defaults.fileMode : defaults.directoryMode
  const permissions = typeOf(inode) === S_IFLNK ? 0o777 : (overrides.mode ?? usual)
  const linked = inode.parent !== undefined || inode.ino === inode.number
  return {
    ino: inode.number,
    size,
    blocks: Math.ceil(size / BLOCK),
    atime: overrides.atime ?? mtime,
    mtime,
    // What the store changed last, were it metadata alone, has changed then.
    ctime: overrides.ctime ?? timestamp(modificationTime(inode)),
    mode: typeOf(inode) | permissions,
    // 1 for directories too: find(1) takes 2 to mean that there are no subdirectories.
    nlink: linked ? 1 : 0,
    uid: overrides.uid ?? defaults.uid,
    gid: overrides.gid ?? defaults.gid,
    rdev: overrides.rdev ?? 0,
    blksize: PREFERRED_IO,
  }
}

/** Type bits of the mode. */
export function typeOf(inode: Inode): number {
  return inode.kind === 'directory' ? S_IFDIR : (inode.overrides.type ?? S_IFREG)
}

export function sizeOf(inode: Inode & { kind: 'file' }): number {
  return inode.dirty?.isDirty === true ? inode.dirty.size : (inode.version?.size ?? 0)
}

export function timestamp(time: Milliseconds): Timestamp {
  const seconds = Math.floor(time / 1000)
  return { seconds, nanoseconds: Math.floor((time - seconds * 1000) * 1_000_000) }
}

function modificationTime(inode: Inode): Milliseconds {
  if (inode.kind === 'directory') return inode.modified ?? inode.born
  return inode.version?.modTime?.getTime() ?? inode.born
}
