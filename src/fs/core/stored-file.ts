/** The store as the DirtyFile of one inode sees it: each request with what the inode adds to it. */
import type { FileStore } from '../../cache/file-store.js'
import type { WriteConditions, WriteResult } from '../../driver/driver.js'
import { PathNotFoundError } from '../../driver/errors.js'
import { ErrnoError } from '../../util/errno.js'
import { MiB, type Bytes } from '../../util/units.js'
import type { Core } from './core.js'
import { follow } from './file-version.js'
import { publish, publishing, staleIfGone } from './first-store.js'
import type { FileInode } from './inode.js'
import { recorded } from './ledger.js'

/** Files up to this are kept in the cache when they have been stored: they tend to be read at once. */
const MOST_KEPT: Bytes = 4 * MiB

export function storedFile(core: Core, file: FileInode): FileStore {
  const { attributes, blocks, driver, inodes, markers, metadata, uncertain } = core
  const path = (): string => inodes.path(file)
  return {
    path,
    isLinked: () => file.hidden || inodes.isLinked(file),
    put: async (content, conditions) => {
      await announce(core, file)
      const { metadata, done } = attributes.saving(file)
      const put = (each: WriteConditions): Promise<WriteResult> =>
        driver.putContent(path(), content, { ...each, ...(metadata && { metadata }) })
      const result = await publish(core, file, conditions, put)
      done()
      const { etag, size } = result
      if (size <= MOST_KEPT) blocks.keep({ path: path(), etag, size }, content)
      return result
    },
    compose: async () => {
      await announce(core, file)
      const { metadata } = attributes.saving(file)
      return uncertain.noting(path(), async () => {
        const composition = await driver.compose(path(), metadata && { metadata })
        const carrying = attributes.carriedBy(composition, file)
        return publishing(core, file, await recorded(carrying, core))
      })
    },
    copy: async ({ path: original, etag }) => {
      // Only a composition can be published on a condition.
      if (file.exclusive) return undefined
      await announce(core, file)
      const { metadata = {}, done } = attributes.saving(file)
      try {
        // A very large object is copied by an upload.
        const copy = (): Promise<WriteResult> => driver.copy(original, path(), { etag, metadata })
        const result = await uncertain.noting(path(), copy, { isFilled: true })
        done()
        return result
      } catch (error) {
        throw staleIfGone(original, error)
      }
    },
    moveHere: async publishedAt => {
      const here = path()
      const moved = await driver.move(publishedAt, here)
      const { etag, size } = moved ?? (await driver.stat(here, { expect: 'file' }))
      if (etag === undefined) throw new ErrnoError('EIO', `the store gives no etag for ${here}`)
      return { etag, size }
    },
    stat: async () => {
      const here = path()
      try {
        const { etag, size } = await driver.stat(here, { expect: 'file' })
        return etag === undefined ? undefined : { path: here, etag, size }
      } catch (error) {
        if (error instanceof PathNotFoundError) return undefined
        throw error
      }
    },
    read: async (object, offset, length) => {
      try {
        return await blocks.read(object, offset, length)
      } catch (error) {
        throw staleIfGone(object.path, error)
      }
    },
    published: version => {
      const modTime = new Date(core.clock())
      const info = attributes.published(file, { ...version, modTime, isDir: false })
      follow(core, file, info)
      file.pagesOf = version.etag
      file.covers = false
      file.exclusive = false
      file.attempted = undefined
      if (file.parent === undefined) return
      metadata.changed(inodes.path(file.parent), file.name, info)
      markers.stored(file)
    },
  }
}

/** What is stored of an unlinked file must not be left behind. */
async function announce(core: Core, file: FileInode): Promise<void> {
  if (file.hidden) await core.unlinked.announce(core.inodes.path(file))
}
