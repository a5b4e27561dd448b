/** The store as one file under write sees it; the file system fills it in. */
import type { Composition, WriteConditions, WriteResult } from '../driver/driver.js'
import type { Bytes } from '../util/units.js'
import type { ObjectId } from './object-id.js'

/** How one file reaches the store. Its path may change between calls, but not during one. */
export interface FileStore {
  put(content: readonly Uint8Array[], conditions: WriteConditions): Promise<WriteResult>
  compose(): Promise<Composition>
  /** Makes the file the same as an object, inside the store; undefined if that takes a composition. */
  copy(object: ObjectId): Promise<WriteResult | undefined>
  /** The file was published under a name it no longer has: moves it to where it belongs now. */
  moveHere(publishedAt: string): Promise<WriteResult>
  /** What lies under the file's name now. */
  stat(): Promise<ObjectId | undefined>
  /** Bytes of an object, all of them or a rejection. They need not outlive the next await. */
  read(object: ObjectId, offset: Bytes, length: Bytes): Promise<readonly Uint8Array[]>
  /** The driver path now. */
  path(): string
  /** false once the file was unlinked: it then has no place in the store. */
  isLinked(): boolean
  /** The store has all bytes, as this version. Called before another write can go ahead. */
  published(version: ObjectId): void
}
