/**
 * The file system core behind calls as a program makes them: paths, flags and whole buffers. Plays
 * the kernel's part of looking names up component by component and forgetting them again, and keeps
 * no cache of its own, so that every call reaches the core.
 */
import type { FileSystem } from '../../src/fs/core/filesystem.js'
import { ROOT_INO } from '../../src/fs/operations.js'
import type { Attributes, Entry, Fh, Ino, RequestContext } from '../../src/fs/operations.js'
import { ErrnoError } from '../../src/util/errno.js'

export const O_RDONLY = 0
export const O_WRONLY = 1
export const O_RDWR = 2
export const O_CREAT = 0o100
export const O_EXCL = 0o200
export const O_TRUNC = 0o1000
export const O_DSYNC = 0o10000

/** Open flags that the kernel keeps to itself. */
const KERNEL_FLAGS = O_CREAT | O_EXCL

export interface OpenFile {
  read(offset: number, length: number): Promise<Buffer>
  write(offset: number, data: Uint8Array): Promise<number>
  truncate(size: number): Promise<void>
  stat(): Promise<Attributes>
  fsync(): Promise<void>
  allocate(mode: number, offset: number, length: number): Promise<void>
  seek(offset: number, whence: number): Promise<number>
  /** copy_file_range(2) from here into another file. */
  copyTo(target: OpenFile, from: number, to: number, length: number): Promise<number>
  readonly handle: { readonly ino: Ino; readonly fh: Fh }
  /** close(2): flush, then release whatever flush said. */
  close(): Promise<void>
}

export class CoreOs {
  readonly fs: FileSystem
  readonly context: RequestContext

  constructor(fs: FileSystem, signal: AbortSignal = new AbortController().signal) {
    this.fs = fs
    this.context = { uid: 0, gid: 0, pid: 1, signal }
  }

  stat(path: string): Promise<Attributes> {
    return this.#with(path, async entry => {
      return (await this.fs.getattr(this.context, entry.ino)).attributes
    })
  }

  /** Whether the path names something; any error but ENOENT is thrown. */
  async exists(path: string): Promise<boolean> {
    try {
      await this.stat(path)
      return true
    } catch (error) {
      if (error instanceof ErrnoError && error.code === 'ENOENT') return false
      throw error
    }
  }

  async open(path: string, flags: number, mode = 0o644): Promise<OpenFile> {
    if ((flags & O_CREAT) === 0 || (await this.exists(path))) {
      if ((flags & O_EXCL) !== 0) throw new ErrnoError('EEXIST', path)
      const entry = await this.lookup(path)
      try {
        const { fh } = await this.fs.open(this.context, entry.ino, flags & ~KERNEL_FLAGS)
        return this.#file(entry.ino, fh)
      } catch (error) {
        this.fs.forget(entry.ino, 1)
        throw error
      }
    }
    return this.#withParent(path, async (parent, name) => {
      const request = { name, mode, umask: 0o022, flags }
      const { ino, fh } = await this.fs.create(this.context, parent, request)
      return this.#file(ino, fh)
    })
  }

  async writeFile(path: string, data: Uint8Array): Promise<void> {
    const file = await this.open(path, O_WRONLY | O_CREAT | O_TRUNC)
    await file.write(0, data)
    await file.close()
  }

  async readFile(path: string): Promise<Buffer> {
    const file = await this.open(path, O_RDONLY)
    const { size } = await file.stat()
    const data = await file.read(0, size + 1)
    await file.close()
    return data
  }

  async mkdir(path: string): Promise<void> {
    await this.#withParent(path, async (parent, name) => {
      const request = { name, mode: 0o755, umask: 0o022 }
      const { ino } = await this.fs.mkdir(this.context, parent, request)
      this.fs.forget(ino, 1)
    })
  }

  rmdir(path: string): Promise<void> {
    return this.#withParent(path, async (parent, name) => {
      await this.fs.rmdir(this.context, parent, name)
    })
  }

  unlink(path: string): Promise<void> {
    return this.#withParent(path, async (parent, name) => {
      await this.fs.unlink(this.context, parent, name)
    })
  }

  rename(from: string, to: string, flags = 0): Promise<void> {
    return this.#withParent(from, (parent, name) =>
      this.#withParent(to, async (newParent, newName) => {
        await this.fs.rename(this.context, { parent, name, newParent, newName, flags })
      }),
    )
  }

  truncate(path: string, size: number): Promise<void> {
    return this.#with(path, async ({ ino }) => {
      await this.fs.setattr(this.context, ino, { size })
    })
  }

  /** Names without `.` and `..`, sorted; every entry is checked to come once. */
  readdir(path: string, { plus = false, batch = Infinity } = {}): Promise<string[]> {
    return this.#with(path, async ({ ino }) => {
      const { fh } = this.fs.opendir(this.context, ino)
      const names: string[] = []
      let offset = 0
      try {
        for (let got = -1; got !== 0;) {
          got = 0
          const taken: Ino[] = []
          await this.fs.readdir(this.context, ino, fh, {
            offset,
            plus,
            add: entry => {
              if (got >= batch) return false
              got += 1
              offset = entry.offset
              if (entry.entry !== undefined) taken.push(entry.entry.ino)
              if (entry.name !== '.' && entry.name !== '..') names.push(entry.name)
              return true
            },
          })
          for (const each of taken) this.fs.forget(each, 1)
        }
      } finally {
        await this.fs.releasedir(this.context, ino, fh)
      }
      if (new Set(names).size !== names.length) throw new Error(`twice in ${path}: ${names.join()}`)
      return names.toSorted()
    })
  }

  fsyncDirectory(path: string): Promise<void> {
    return this.#with(path, async ({ ino }) => {
      await this.fs.fsyncdir(this.context, ino)
    })
  }

  #file(ino: Ino, fh: Fh): OpenFile {
    const { context, fs } = this
    return {
      read: async (offset, length) => {
        // Copied before anything else runs: slices hold until the next turn of the event loop only.
        const slices = await fs.read(context, ino, fh, offset, length)
        return Buffer.concat(slices)
      },
      write: async (offset, data) =>
        fs.write(context, ino, fh, { offset, data, fromPageCache: false }),
      truncate: async size => {
        await fs.setattr(context, ino, { fh, size })
      },
      stat: async () => (await fs.getattr(context, ino)).attributes,
      fsync: async () => fs.fsync(context, ino, fh),
      allocate: async (mode, offset, length) =>
        fs.fallocate(context, ino, fh, { mode, offset, length }),
      seek: async (offset, whence) => fs.lseek(context, ino, fh, { offset, whence }),
      copyTo: async (target, from, to, length) =>
        fs.copyfilerange(context, {
          source: { ino, fh, offset: from },
          target: { ...target.handle, offset: to },
          length,
        }),
      handle: { ino, fh },
      close: async () => {
        try {
          await fs.flush(context, ino, fh)
        } finally {
          await fs.release(context, ino, fh)
          fs.forget(ino, 1)
        }
      },
    }
  }

  /** The entry of a path, with one lookup that the caller must forget, unless it is the root. */
  async lookup(path: string): Promise<Entry> {
    const names = path.split('/').filter(name => name !== '')
    let entry = { ino: ROOT_INO } as Entry
    const passed: Ino[] = []
    try {
      for (const name of names) {
        const found = await this.fs.lookup(this.context, entry.ino, name)
        if (found.ino === undefined) throw new ErrnoError('ENOENT', path)
        passed.push(found.ino)
        entry = found
      }
      if (names.length > 0) passed.pop()
      return entry
    } finally {
      for (const ino of passed) this.fs.forget(ino, 1)
    }
  }

  async #with<T>(path: string, use: (entry: Entry) => Promise<T>): Promise<T> {
    const entry = await this.lookup(path)
    try {
      return await use(entry)
    } finally {
      this.fs.forget(entry.ino, 1)
    }
  }

  #withParent<T>(path: string, use: (parent: Ino, name: string) => Promise<T>): Promise<T> {
    const at = path.lastIndexOf('/')
    return this.#with(path.slice(0, at), entry => use(entry.ino, path.slice(at + 1)))
  }
}
