/** A folder of the host, plain or mounted, through the calls of the C library. */
import { Buffer } from 'node:buffer'
import { fstatSync, lstatSync, type BigIntStats } from 'node:fs'
import * as libc from '../../helpers/libc.js'
import type { TimeArgument } from '../../helpers/libc.js'
import type { Name, Os, OsDirectory, OsFile, Stat } from './os.js'

export class HostFile implements OsFile {
  readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }

  read(offset: number, length: number): Buffer {
    return libc.read(this.fd, length, offset)
  }

  write(bytes: Uint8Array, offset?: number): number {
    return libc.write(this.fd, bytes, offset)
  }

  truncate(size: number): void {
    libc.ftruncate(this.fd, size)
  }

  stat(): Stat {
    return statOf(fstatSync(this.fd, { bigint: true }))
  }

  chmod(mode: number): void {
    libc.fchmod(this.fd, mode)
  }

  fsync(): void {
    libc.fsync(this.fd)
  }

  fdatasync(): void {
    libc.fdatasync(this.fd)
  }

  lseek(offset: number, whence: number): number {
    return libc.lseek(this.fd, offset, whence)
  }

  fallocate(mode: number, offset: number, length: number): void {
    libc.fallocate(this.fd, mode, offset, length)
  }

  copyTo(target: OsFile, { at, there, length }: { at: number; there: number; length: number }) {
    const to = descriptorOf(target)
    return libc.copyFileRange({ from: this.fd, at, to, there, length })
  }

  close(): void {
    libc.close(this.fd)
  }
}

/** The descriptor of a file that a kernel has opened. */
export function descriptorOf(file: OsFile): number {
  if (!(file instanceof HostFile)) throw new TypeError('a file of another file system')
  return file.fd
}

export interface HostOptions {
  /** Names that begin so are not listed: a mount's own, which come and go at their own time. */
  readonly unlisted?: string
}

export class HostOs implements Os {
  readonly root: string
  readonly #options: HostOptions

  constructor(root: string, options: HostOptions = {}) {
    this.root = root
    this.#options = options
  }

  open(path: Name, flags: number, mode = 0o644): HostFile {
    const O_CLOEXEC = 0o2000000
    return new HostFile(libc.open(this.#at(path), flags | O_CLOEXEC, mode))
  }

  stat(path: Name): Stat {
    return statOf(lstatSync(this.#at(path), { bigint: true }))
  }

  access(path: Name, mode: number): void {
    libc.access(this.#at(path), mode)
  }

  truncate(path: Name, size: number): void {
    libc.truncate(this.#at(path), size)
  }

  mkdir(path: Name, mode = 0o755): void {
    libc.mkdir(this.#at(path), mode)
  }

  rmdir(path: Name): void {
    libc.rmdir(this.#at(path))
  }

  unlink(path: Name): void {
    libc.unlink(this.#at(path))
  }

  rename(from: Name, to: Name, flags = 0): void {
    libc.rename(this.#at(from), this.#at(to), flags)
  }

  link(from: Name, to: Name): void {
    libc.link(this.#at(from), this.#at(to))
  }

  symlink(target: Name, path: Name): void {
    libc.symlink(target, this.#at(path))
  }

  readlink(path: Name): string {
    return libc.readlink(this.#at(path)).toString()
  }

  mknod(path: Name, mode: number, device = 0): void {
    libc.mknod(this.#at(path), mode, device)
  }

  chmod(path: Name, mode: number): void {
    libc.chmod(this.#at(path), mode)
  }

  chown(path: Name, uid: number, gid: number): void {
    libc.lchown(this.#at(path), uid, gid)
  }

  utimens(path: Name, atime: TimeArgument, mtime: TimeArgument): void {
    libc.utimens(this.#at(path), atime, mtime)
  }

  setxattr(path: Name, name: string, value: Uint8Array, flags = 0): void {
    libc.setxattr(this.#at(path), name, value, flags)
  }

  getxattr(path: Name, name: string, room?: number): Buffer {
    return libc.getxattr(this.#at(path), name, room)
  }

  listxattr(path: Name): string[] {
    return libc.listxattr(this.#at(path))
  }

  removexattr(path: Name, name: string): void {
    libc.removexattr(this.#at(path), name)
  }

  opendir(path: Name): OsDirectory {
    const stream = new libc.DirectoryStream(this.#at(path))
    const { unlisted } = this.#options
    return unlisted === undefined ? stream : without(stream, unlisted)
  }

  #at(path: Name): Buffer {
    return Buffer.concat([Buffer.from(this.root), Buffer.from(path as Uint8Array)])
  }
}

function without(stream: libc.DirectoryStream, prefix: string): OsDirectory {
  return {
    next() {
      for (;;) {
        const entry = stream.next()
        if (entry?.name.startsWith(prefix) !== true) return entry
      }
    },
    tell: () => stream.tell(),
    seek: position => stream.seek(position),
    close: () => stream.close(),
  }
}

function statOf(stats: BigIntStats): Stat {
  return {
    type: typeOf(stats),
    size: Number(stats.size),
    mode: Number(stats.mode) & 0o7777,
    nlink: Number(stats.nlink),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    ino: Number(stats.ino),
    rdev: Number(stats.rdev),
    atime: stats.atimeNs,
    mtime: stats.mtimeNs,
    ctime: stats.ctimeNs,
  }
}

function typeOf(stats: BigIntStats): Stat['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  return stats.isSocket() ? 'socket' : 'device'
}
