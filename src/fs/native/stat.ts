/** Attributes and totals as fuse-native takes them: times in whole milliseconds, counts of 32 bits. */
import type { Attributes, StatfsReply, Timestamp } from '../operations.js'
import type { NativeStat, NativeStatfs } from './fuse-native.js'

/** What a listing tells of an entry besides its type and number: libfuse uses no more of it. */
export const NO_STAT: NativeStat = {
  mode: 0,
  uid: 0,
  gid: 0,
  size: 0,
  nlink: 1,
  ino: 0,
  rdev: 0,
  blksize: 0,
  blocks: 0,
  atime: 0,
  mtime: 0,
  ctime: 0,
}

/** What statfs(2) shows; what does not fit into 32 bits is as much as does. */
export function statfsOf(reply: StatfsReply): NativeStatfs {
  return {
    bsize: reply.blockSize,
    frsize: reply.blockSize,
    blocks: atMost32Bits(reply.blocks),
    bfree: atMost32Bits(reply.blocksFree),
    bavail: atMost32Bits(reply.blocksAvailable),
    files: atMost32Bits(reply.files),
    ffree: atMost32Bits(reply.filesFree),
    favail: atMost32Bits(reply.filesFree),
    namemax: reply.nameLength,
  }
}

function atMost32Bits(count: number): number {
  return Math.min(count, 0xffff_ffff)
}

function millisecondsOf({ seconds, nanoseconds }: Timestamp): number {
  return seconds * 1000 + Math.floor(nanoseconds / 1_000_000)
}

/** @param milliseconds Since 1970. */
export function timestampOf(milliseconds: number): Timestamp {
  const seconds = Math.floor(milliseconds / 1000)
  return { seconds, nanoseconds: (milliseconds - seconds * 1000) * 1_000_000 }
}

/** What stat(2) shows, with times cut to milliseconds. */
export function statOf(attributes: Attributes): NativeStat {
  const { ino, mode, uid, gid, size, nlink, rdev, blksize, blocks } = attributes
  return {
    ino,
    mode,
    uid,
    gid,
    size,
    nlink,
    rdev,
    blksize,
    blocks,
    atime: millisecondsOf(attributes.atime),
    mtime: millisecondsOf(attributes.mtime),
    ctime: millisecondsOf(attributes.ctime),
  }
}
