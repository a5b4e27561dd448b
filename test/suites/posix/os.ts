/**
 * A file system as the cases of the suite see it: calls as a program makes them, on paths that begin
 * with a slash at the root of the subject. Implemented by a folder of the host (plain or mounted),
 * and by the core without a kernel.
 *
 * A failure is an error whose `code` is the name of an errno.
 */
import { createHash } from 'node:crypto'
import type { Milliseconds } from '../../../src/util/units.js'
import type { TimeArgument } from '../../helpers/libc.js'

export type MaybePromise<T> = T | Promise<T>

export const O = {
  rdonly: 0,
  wronly: 1,
  rdwr: 2,
  creat: 0o100,
  excl: 0o200,
  trunc: 0o1000,
  append: 0o2000,
  dsync: 0o10000,
  direct: 0o40000,
  directory: 0o200000,
  nofollow: 0o400000,
  sync: 0o4010000,
  path: 0o10000000,
} as const

export interface Stat {
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device'
  readonly size: number
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly ino: number
  readonly rdev: number
  /** Nanoseconds since 1970. */
  readonly atime: bigint
  readonly mtime: bigint
  readonly ctime: bigint
}

export interface OsFile {
  read(offset: number, length: number): MaybePromise<Buffer>
  /** Where the descriptor stands if there is no offset, or at the end with O_APPEND. */
  write(bytes: Uint8Array, offset?: number): MaybePromise<number>
  truncate(size: number): MaybePromise<void>
  stat(): MaybePromise<Stat>
  chmod(mode: number): MaybePromise<void>
  fsync(): MaybePromise<void>
  fdatasync(): MaybePromise<void>
  lseek(offset: number, whence: number): MaybePromise<number>
  fallocate(mode: number, offset: number, length: number): MaybePromise<void>
  /** copy_file_range(2) from this file into another, once. */
  copyTo(target: OsFile, range: { at: number; there: number; length: number }): MaybePromise<number>
  close(): MaybePromise<void>
}

/** An open directory: positions are opaque, and good for this stream only. */
export interface OsDirectory {
  next(): MaybePromise<{ readonly name: string; readonly type: number } | undefined>
  tell(): number | bigint
  seek(position: number | bigint): void
  close(): MaybePromise<void>
}

export interface Os {
  open(path: Name, flags: number, mode?: number): MaybePromise<OsFile>
  /** lstat(2). */
  stat(path: Name): MaybePromise<Stat>
  access(path: Name, mode: number): MaybePromise<void>
  truncate(path: Name, size: number): MaybePromise<void>
  mkdir(path: Name, mode?: number): MaybePromise<void>
  rmdir(path: Name): MaybePromise<void>
  unlink(path: Name): MaybePromise<void>
  rename(from: Name, to: Name, flags?: number): MaybePromise<void>
  link(from: Name, to: Name): MaybePromise<void>
  symlink(target: Name, path: Name): MaybePromise<void>
  readlink(path: Name): MaybePromise<string>
  /** Mode with type bits. */
  mknod(path: Name, mode: number, device?: number): MaybePromise<void>
  chmod(path: Name, mode: number): MaybePromise<void>
  /** lchown(2); -1 leaves as it is. */
  chown(path: Name, uid: number, gid: number): MaybePromise<void>
  utimens(path: Name, atime: TimeArgument, mtime: TimeArgument): MaybePromise<void>
  setxattr(path: Name, name: string, value: Uint8Array, flags?: number): MaybePromise<void>
  getxattr(path: Name, name: string, room?: number): MaybePromise<Buffer>
  listxattr(path: Name): MaybePromise<string[]>
  removexattr(path: Name, name: string): MaybePromise<void>
  opendir(path: Name): MaybePromise<OsDirectory>
}

/** Longer than the steps of any clock that times of files come from. */
export const TICK: Milliseconds = 12

export type Name = string | Uint8Array

/** What a case found out, as data that can be compared. */
export type Result =
  string | number | boolean | null | readonly Result[] | { readonly [key: string]: Result }

export interface Case {
  readonly title: string
  readonly run: (os: Os) => Promise<Result>
  /** What comes to the same with calls that every local file system has, if `run` needs others. */
  readonly oracle?: (os: Os) => Promise<Result>
}

/** The same for cases that need what only a kernel has: descriptors, locks, mappings, umask. */
export interface KernelCase {
  readonly title: string
  /** @param root The subject's folder, for calls that Os lacks. */
  readonly onKernel: (os: Os, root: string) => Promise<Result>
}

export type AnyCase = Case | KernelCase

/** What a call gives, or the name of the errno it fails with; 'ok' for a call without a result. */
export async function tried<T extends Result | void>(
  work: () => MaybePromise<T>,
): Promise<Exclude<T, void> | string> {
  try {
    const result = await work()
    return result === undefined ? 'ok' : (result as Exclude<T, void>)
  } catch (error) {
    return codeOf(error)
  }
}

/** Whether a system call has failed; anything else is a mistake of the test. */
export function isFailure(error: unknown): boolean {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^(E[A-Z0-9]+|errno \d+)$/.test(code)
}

/** @throws what is no failure of a system call */
export function codeOf(error: unknown): string {
  if (!isFailure(error)) throw error
  return (error as { code: string }).code
}

/** Short words for long content. */
export function digest(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${createHash('sha1').update(bytes).digest('hex').slice(0, 12)}`
}

export async function writeFile(os: Os, path: Name, content: Uint8Array | string): Promise<void> {
  const file = await os.open(path, O.wronly | O.creat | O.trunc)
  await writeAll(file, Buffer.from(content as Uint8Array), 0)
  await file.close()
}

/** Writes all, however little is taken at a time. */
export async function writeAll(file: OsFile, bytes: Uint8Array, offset: number): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at), offset + at)
}

/** Reads up to the end or the length, however little comes at a time. */
export async function readAll(file: OsFile, offset = 0, length = Infinity): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let got = 0; got < length;) {
    const piece = await file.read(offset + got, Math.min(length - got, 1024 * 1024))
    if (piece.length === 0) break
    pieces.push(piece)
    got += piece.length
  }
  return Buffer.concat(pieces)
}

export async function readFile(os: Os, path: Name): Promise<Buffer> {
  const file = await os.open(path, O.rdonly)
  try {
    return await readAll(file)
  } finally {
    await file.close()
  }
}

/** Content as text, or the errno. */
export async function contentOf(os: Os, path: Name): Promise<string> {
  return tried(async () => (await readFile(os, path)).toString('latin1'))
}

/** Names without `.` and `..`, sorted. */
export async function list(os: Os, path: Name): Promise<string[]> {
  const directory = await os.opendir(path)
  const names: string[] = []
  for (;;) {
    const entry = await directory.next()
    if (entry === undefined) break
    if (entry.name !== '.' && entry.name !== '..') names.push(entry.name)
  }
  await directory.close()
  return names.toSorted()
}

/** Everything below a directory: directories end with a slash, files have their content. */
export async function tree(os: Os, path: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await list(os, path)) {
    const child = `${path}/${name}`
    const { type } = await os.stat(child)
    if (type === 'directory') found.push(`${child}/`, ...(await tree(os, child)))
    else if (type === 'symlink') found.push(`${child} -> ${await os.readlink(child)}`)
    else if (type === 'file') found.push(`${child}: ${await contentOf(os, child)}`)
    else found.push(`${child} is a ${type}`)
  }
  return found
}
