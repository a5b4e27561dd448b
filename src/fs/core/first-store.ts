/**
 * Puts a version of a file into the store under the conditions that its history asks for.
 *
 * A file that was created with O_EXCL, or moved with RENAME_NOREPLACE before it was stored, is new at its
 * name the first time: if another host has stored something there meanwhile, that stays, and this
 * one's close fails with EEXIST. A file that was made from a version which is not there any more fails
 * with ESTALE, as one that was made from a version which was replaced. What is found there after an
 * attempt that was not answered, and is what was attempted, is our own.
 */
import type { Composition, WriteConditions, WriteResult } from '../../driver/driver.js'
import { PathNotFoundError, PreconditionError } from '../../driver/errors.js'
import { ErrnoError } from '../../util/errno.js'
import type { Core } from './core.js'
import type { FileInode } from './inode.js'

/** @param work  the request; gets its conditions */
export async function publish(
  core: Core,
  file: FileInode,
  conditions: WriteConditions,
  work: (conditions: WriteConditions) => Promise<WriteResult>,
): Promise<WriteResult> {
  const isNew = file.exclusive && conditions.ifMatch === undefined
  const path = core.inodes.path(file)
  const repeated = file.attempted === path ? { repeated: true } : {}
  try {
    const given: WriteConditions = isNew ? { ifNoneMatch: '*' } : conditions
    return await work({ ...given, ...repeated, ...(isFree(file) && { isFree: true }) })
  } catch (error) {
    // Whatever else went wrong, it may have taken effect.
    file.attempted = error instanceof PreconditionError ? undefined : path
    if (isNew && error instanceof PreconditionError) {
      // What is believed of the name is not so.
      if (file.parent !== undefined) core.metadata.forget(core.inodes.path(file.parent))
      throw new ErrnoError('EEXIST', `${path} was made by another host`, { cause: error })
    }
    throw staleIfGone(path, error)
  }
}

/** As far as this mount knows: nothing of the file was stored under its name, nor of another. */
function isFree({ version, covers, attempted }: FileInode): boolean {
  return version === undefined && !covers && attempted === undefined
}

/** A composition that is completed by `publish`. */
export function publishing(core: Core, file: FileInode, composition: Composition): Composition {
  const { path, uploadId } = composition
  return {
    path,
    uploadId,
    uploadPart: (...request) => composition.uploadPart(...request),
    copyPart: async (...request) => {
      try {
        return await composition.copyPart(...request)
      } catch (error) {
        throw staleIfGone(path, error)
      }
    },
    complete: (parts, { signal, ...conditions } = {}) => {
      const io = signal === undefined ? {} : { signal }
      return publish(core, file, conditions, each =>
        composition.complete(parts, { ...each, ...io }),
      )
    },
    abort: (...request) => composition.abort(...request),
  }
}

/** The version that a file was made from is gone: whoever has it open is told so, not that it is absent. */
export function staleIfGone(path: string, error: unknown): unknown {
  if (!(error instanceof PathNotFoundError)) return error
  return new ErrnoError('ESTALE', `${path} was removed by another host`, { cause: error })
}
