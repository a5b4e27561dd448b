/** What is asked of ranges of open files: fallocate(2), lseek(2) for data and holes, copy_file_range(2). */
import type { ObjectId } from '../../cache/object-id.js'
import { ErrnoError } from '../../util/errno.js'
import type { Bytes } from '../../util/units.js'
import type {
  AllocateRequest,
  CopyRangeRequest,
  Fh,
  RequestContext,
  SeekRequest,
} from '../operations.js'
import type { Core } from './core.js'
import { checkVersion, dirtyOf, sizeOf, touch } from './file-handles.js'
import type { FileHandles } from './file-handles.js'
import { isSame, objectOf } from './file-version.js'
import type { FileInode } from './inode.js'

/** @see linux/falloc.h */
const FALLOC_FL_KEEP_SIZE = 0x01
const FALLOC_FL_PUNCH_HOLE = 0x02
const FALLOC_FL_ZERO_RANGE = 0x10
const FALLOC_KNOWN = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE

const SEEK_DATA = 3
const SEEK_HOLE = 4

export interface RangesOptions {
  readonly core: Core
  readonly handles: FileHandles
  /** When it resolves the store has all that was written to the file. */
  readonly flush: (context: RequestContext, file: FileInode) => Promise<void>
}

export class Ranges {
  readonly #core: Core
  readonly #handles: FileHandles
  readonly #flush: RangesOptions['flush']

  constructor({ core, handles, flush }: RangesOptions) {
    this.#core = core
    this.#handles = handles
    this.#flush = flush
  }

  /** fallocate(2): there is no room to reserve, so all that remains is the size and the zeros. */
  async fallocate(context: RequestContext, fh: Fh, request: AllocateRequest): Promise<void> {
    const { mode, offset, length } = request
    const { file } = this.#handles.writable(fh)
    const isPunch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0
    const isZero = (mode & FALLOC_FL_ZERO_RANGE) !== 0
    const keepsSize = (mode & FALLOC_FL_KEEP_SIZE) !== 0
    if ((mode & ~FALLOC_KNOWN) !== 0 || (isPunch && (isZero || !keepsSize))) {
      throw new ErrnoError('EOPNOTSUPP', `fallocate with mode ${mode}`)
    }
    const end = offset + length
    const dirty = dirtyOf(this.#core, file)
    if (isPunch || isZero) {
      await dirty.zero({ start: offset, end, grow: !keepsSize }, context.signal)
    } else if (!keepsSize) await dirty.extend(end, context.signal)
    touch(this.#core, file)
  }

  /**
   * lseek(2) with SEEK_DATA and SEEK_HOLE. All of a file is data: BOS keeps no holes, and the kernel
   * may have mapped pages over one that it has not told us of.
   */
  lseek(fh: Fh, { offset, whence }: SeekRequest): Bytes {
    const { file } = this.#handles.get(fh)
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) {
      throw new ErrnoError('EINVAL', `lseek from ${whence}`)
    }
    const size = sizeOf(file)
    if (offset >= size) throw new ErrnoError('ENXIO', `offset ${offset} of ${size} bytes`)
    return whence === SEEK_DATA ? offset : size
  }

  /**
   * copy_file_range(2): notes where the bytes come from; they are copied inside the store when the
   * target is stored. What cannot be had so is refused, and the kernel then moves the bytes.
   *
   * @returns bytes copied, fewer where the source ends
   */
  async copyFileRange(context: RequestContext, request: CopyRangeRequest): Promise<Bytes> {
    const source = this.#handles.get(request.source.fh)
    const target = this.#handles.writable(request.target.fh)
    if (!source.readable) throw new ErrnoError('EBADF', 'the source is not open for reading')
    const { file } = source
    for (;;) {
      if (file.dirty?.isDirty !== true) checkVersion(this.#core, source)
      const { offset: from } = request.source
      const { offset: to } = request.target
      const length = Math.min(request.length, sizeOf(file) - from)
      if (length <= 0) return 0
      if (file === target.file && from < to + length && to < from + length) {
        throw new ErrnoError('EINVAL', 'the ranges overlap')
      }
      const object = await this.#copySource(context, file)
      if (object.size < from + length) continue
      const isCurrent = (): boolean => this.#isStored(file, object)
      const io = { isCurrent, signal: context.signal }
      if (await dirtyOf(this.#core, target.file).copyFrom({ object, from, length }, to, io)) {
        touch(this.#core, target.file)
        return length
      }
    }
  }

  /** The object that has all bytes of a file: stored now, if need be. */
  async #copySource(context: RequestContext, file: FileInode): Promise<ObjectId> {
    if (file.dirty?.isDirty === true) await this.#flush(context, file)
    if (file.dirty?.isDirty === true || file.parent === undefined) {
      throw new ErrnoError('EOPNOTSUPP', 'a file that was unlinked is not there to be copied')
    }
    return objectOf(this.#core, file)
  }

  #isStored(file: FileInode, object: ObjectId): boolean {
    if (file.dirty?.isDirty === true || file.parent === undefined) return false
    return file.version !== undefined && isSame(object, objectOf(this.#core, file))
  }
}
