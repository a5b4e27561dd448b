/** What the parts of the file system core share. Made once by filesystem.ts. */
import type { BlockCache } from '../../cache/block-cache.js'
import type { MetadataCache } from '../../cache/metadata-cache.js'
import type { Prefetcher } from '../../cache/prefetch.js'
import type { WriteBack } from '../../cache/write-back.js'
import type { StorageDriver } from '../../driver/driver.js'
import type { Later } from '../../util/clock.js'
import type { SharedLock } from '../../util/lock.js'
import type { Logger } from '../../util/log.js'
import type { Bytes, Milliseconds } from '../../util/units.js'
import type { Notifier } from '../operations.js'
import type { AttributeDefaults } from './attributes.js'
import type { AttributeKeeping } from './attribute-keeping.js'
import type { Deletes } from './deletes.js'
import type { InodeTable } from './inode-table.js'
import type { Ledger } from './ledger.js'
import type { Markers } from './markers.js'
import type { NameChanges } from './name-changes.js'
import type { UncertainUploads } from './uncertain-uploads.js'
import type { UnfinishedMoves } from './unfinished-moves.js'
import type { Subtrees } from './subtrees.js'
import type { UnlinkedFiles } from './unlinked-files.js'

export interface CoreConfig extends AttributeDefaults {
  /**
   * When a file that is created with O_EXCL is known to be nobody else's: when it is stored, at close
   * or fsync, or by one request more at open.
   */
  readonly exclusiveCreate: 'close' | 'open'
  /** Whether mode, owner and times hold while an inode lives, or are kept in the store. */
  readonly attributes: 'derived' | 'stored'
  /** How long attributes and dentries may be believed without asking the store. */
  readonly metadataTtl: Milliseconds
  /** Most bytes fetched ahead of a sequential reader. */
  readonly readAhead: Bytes
  /** How long a directory made here may exist in this mount only. */
  readonly markerDelay: Milliseconds
}

export interface Core {
  readonly config: CoreConfig
  /** Its requests come after the deletes that they depend on. */
  readonly driver: StorageDriver
  readonly deletes: Deletes
  readonly inodes: InodeTable
  readonly metadata: MetadataCache
  readonly subtrees: Subtrees
  readonly blocks: BlockCache
  /** A block that is not in memory comes from the store, never from a local disk. */
  readonly readsAskStore: boolean
  readonly prefetcher: Prefetcher
  readonly writeBack: WriteBack
  readonly markers: Markers
  /** Changes of names that nobody waits for any more. */
  readonly changes: NameChanges
  readonly attributes: AttributeKeeping
  readonly uncertain: UncertainUploads
  readonly unlinked: UnlinkedFiles
  readonly ledger: Ledger
  readonly moves: UnfinishedMoves
  /**
   * Shared by whatever changes the store below a path; exclusive while a directory is renamed, when
   * the paths of all that is below it change.
   */
  readonly tree: SharedLock
  /** Unix time. */
  readonly clock: () => Milliseconds
  readonly later: Later
  readonly log: Logger
  notifier: Notifier
  /** A file that is open past the page cache can be mapped shared. */
  directMappings: boolean
}
