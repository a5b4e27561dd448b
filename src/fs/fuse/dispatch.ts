/**
 * Which Operations method answers which opcode, and with which record.
 *
 * Not here: INIT, INTERRUPT, FORGET, BATCH_FORGET and DESTROY, which belong to the session.
 */
import { ErrnoError, type ErrnoName } from '../../util/errno.js'
import type { CreateReply, Entry, NegativeEntry, OpenReply, Operations } from '../operations.js'
import { OPCODE } from './abi.js'
import { joinNames, readDirectoryHandler, readHandler, xattrHandler } from './data-handlers.js'
import * as decode from './decode.js'
import * as encode from './encode.js'
import { done, handler, onHandle, type AnyHandler } from './handler.js'
import type { Request } from './request.js'

function undoEntry(operations: Operations, _: Request, entry: Entry | NegativeEntry): void {
  if (entry.ino !== undefined) operations.forget(entry.ino, 1)
}

/** A name that does not exist and is not to be remembered is told by an errno, as ever. */
function isMissing(entry: Entry | NegativeEntry): ErrnoName | undefined {
  return entry.ino === undefined && entry.entryValid <= 0 ? 'ENOENT' : undefined
}

const newEntry = { encode: encode.encodeEntry, undo: undoEntry }

export const HANDLERS: ReadonlyMap<number, AnyHandler> = new Map<number, AnyHandler>([
  [
    OPCODE.LOOKUP,
    handler<Entry | NegativeEntry>({
      call: (operations, request, reader) =>
        operations.lookup(request, request.ino, decode.decodeName(reader)),
      error: isMissing,
      ...newEntry,
    }),
  ],
  [
    OPCODE.GETATTR,
    handler({
      call: (operations, request, reader) =>
        operations.getattr(request, request.ino, decode.decodeGetattr(reader)),
      encode: encode.encodeAttr,
    }),
  ],
  [
    OPCODE.SETATTR,
    handler({
      call: (operations, request, reader) =>
        operations.setattr(request, request.ino, decode.decodeSetattr(reader)),
      encode: encode.encodeAttr,
    }),
  ],
  [
    OPCODE.READLINK,
    handler({
      call: (operations, request) => operations.readlink(request, request.ino),
      encode: encode.encodeText,
    }),
  ],
  [
    OPCODE.MKNOD,
    handler({
      call: (operations, request, reader) =>
        operations.mknod(request, request.ino, decode.decodeMknod(reader)),
      ...newEntry,
    }),
  ],
  [
    OPCODE.MKDIR,
    handler({
      call: (operations, request, reader) =>
        operations.mkdir(request, request.ino, decode.decodeMkdir(reader)),
      ...newEntry,
    }),
  ],
  [
    OPCODE.SYMLINK,
    handler({
      call: (operations, request, reader) => {
        const { name, target } = decode.decodeSymlink(reader)
        return operations.symlink(request, request.ino, name, target)
      },
      ...newEntry,
    }),
  ],
  [
    OPCODE.LINK,
    handler({
      call: (operations, request, reader) => {
        const { ino, newName } = decode.decodeLink(reader)
        return operations.link(request, ino, request.ino, newName)
      },
      ...newEntry,
    }),
  ],
  [
    OPCODE.UNLINK,
    done((operations, request, reader) =>
      operations.unlink(request, request.ino, decode.decodeName(reader)),
    ),
  ],
  [
    OPCODE.RMDIR,
    done((operations, request, reader) =>
      operations.rmdir(request, request.ino, decode.decodeName(reader)),
    ),
  ],
  [
    OPCODE.RENAME,
    done((operations, request, reader) =>
      operations.rename(request, decode.decodeRename(reader, request.ino)),
    ),
  ],
  [
    OPCODE.RENAME2,
    done((operations, request, reader) =>
      operations.rename(request, decode.decodeRename2(reader, request.ino)),
    ),
  ],
  [
    OPCODE.OPEN,
    handler<OpenReply>({
      call: (operations, request, reader) => {
        const { flags, killPrivileges } = decode.decodeOpen(reader)
        return operations.open(request, request.ino, flags, { killPrivileges })
      },
      encode: encode.encodeOpen,
      undo: (operations, request, { fh }) => operations.release(request, request.ino, fh),
    }),
  ],
  [
    OPCODE.CREATE,
    handler<CreateReply>({
      call: (operations, request, reader) =>
        operations.create(request, request.ino, decode.decodeCreate(reader)),
      encode: encode.encodeCreate,
      undo: async (operations, request, { ino, fh }) => {
        await operations.release(request, ino, fh)
        operations.forget(ino, 1)
      },
    }),
  ],
  [OPCODE.READ, readHandler],
  [
    OPCODE.WRITE,
    handler({
      call: (operations, request, reader) => {
        const { fh, ...write } = decode.decodeWrite(reader)
        return operations.write(request, request.ino, fh, write)
      },
      encode: encode.encodeWrite,
      keepsBuffer: true,
    }),
  ],
  [
    OPCODE.FALLOCATE,
    done((operations, request, reader) => {
      const { fh, ...allocate } = decode.decodeFallocate(reader)
      return operations.fallocate(request, request.ino, fh, allocate)
    }),
  ],
  [
    OPCODE.LSEEK,
    handler({
      call: (operations, request, reader) => {
        const { fh, ...seek } = decode.decodeLseek(reader)
        return operations.lseek(request, request.ino, fh, seek)
      },
      encode: encode.encodeOffset,
    }),
  ],
  [
    OPCODE.COPY_FILE_RANGE,
    handler({
      call: (operations, request, reader) =>
        operations.copyfilerange(request, decode.decodeCopyFileRange(reader, request.ino)),
      encode: encode.encodeWrite,
    }),
  ],
  [OPCODE.FLUSH, onHandle((operations, request, fh) => operations.flush(request, request.ino, fh))],
  [
    OPCODE.RELEASE,
    onHandle((operations, request, fh) => operations.release(request, request.ino, fh)),
  ],
  [
    OPCODE.FSYNC,
    done((operations, request, reader) => {
      const { fh, dataOnly } = decode.decodeFsync(reader)
      return operations.fsync(request, request.ino, fh, dataOnly)
    }),
  ],
  [
    OPCODE.OPENDIR,
    handler<OpenReply>({
      call: (operations, request, reader) =>
        operations.opendir(request, request.ino, decode.decodeOpen(reader).flags),
      encode: encode.encodeOpen,
      undo: (operations, request, { fh }) => operations.releasedir(request, request.ino, fh),
    }),
  ],
  [OPCODE.READDIR, readDirectoryHandler(false)],
  [OPCODE.READDIRPLUS, readDirectoryHandler(true)],
  [
    OPCODE.RELEASEDIR,
    onHandle((operations, request, fh) => operations.releasedir(request, request.ino, fh)),
  ],
  [
    OPCODE.FSYNCDIR,
    onHandle((operations, request, fh) => operations.fsyncdir(request, request.ino, fh)),
  ],
  [OPCODE.SYNCFS, done((operations, request) => operations.syncfs(request))],
  [
    OPCODE.GETXATTR,
    xattrHandler((operations, request, reader) =>
      operations.getxattr(request, request.ino, decode.decodeXattrName(reader)),
    ),
  ],
  [
    OPCODE.LISTXATTR,
    xattrHandler((operations, request) => {
      const names = operations.listxattr(request, request.ino)
      return names instanceof Promise ? names.then(joinNames) : joinNames(names)
    }),
  ],
  [
    OPCODE.SETXATTR,
    handler<void>({
      call: (operations, request, reader) =>
        operations.setxattr(request, request.ino, decode.decodeSetxattr(reader)),
      keepsBuffer: true,
    }),
  ],
  [
    OPCODE.REMOVEXATTR,
    done((operations, request, reader) =>
      operations.removexattr(request, request.ino, decode.decodeXattrName(reader)),
    ),
  ],
  [
    OPCODE.STATFS,
    handler({
      call: (operations, request) => operations.statfs(request),
      encode: encode.encodeStatfs,
    }),
  ],
  [
    OPCODE.ACCESS,
    done((operations, request, reader) =>
      operations.access(request, request.ino, decode.decodeAccess(reader)),
    ),
  ],
])

/**
 * What is answered where no Operations method is for an opcode, if not ENOSYS. That the kernel takes for
 * "never": it does not ask again, and where it has a way of its own (poll, locks) takes that.
 */
const REFUSALS: ReadonlyMap<number, ErrnoName> = new Map<number, ErrnoName>([
  [OPCODE.IOCTL, 'ENOTTY'],
])

/** @throws ErrnoError what an opcode without a method is answered with */
export function refuse(opcode: number): never {
  throw new ErrnoError(REFUSALS.get(opcode) ?? 'ENOSYS', `opcode ${opcode} is not supported`)
}
