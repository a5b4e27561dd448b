/**
 * Whether the credentials may do in the bucket what a mount does. Tried with small objects below
 * `.bosmount/`, a folder that no mount shows; they are removed again.
 */
import { randomUUID } from 'node:crypto'
import type { StorageDriver } from '../../driver/driver.js'
import { PreconditionError } from '../../driver/errors.js'
import type { BosParameters } from '../../driver/parameters.js'
import { RESERVED_NAME } from '../../driver/path.js'
import { look } from './check.js'
import type { Finding, Say } from './check.js'

export interface BucketOptions {
  readonly signal: AbortSignal
  /** The mount will not write. */
  readonly readOnly: boolean
}

/** Tries what a mount does to a bucket, below the reserved name; what it has stored there goes at the end. */
export async function checkBucket(
  say: Say,
  parameters: BosParameters,
  { signal, readOnly }: BucketOptions,
): Promise<void> {
  const { rootdirectory, bucket } = parameters
  const below = rootdirectory === '' ? RESERVED_NAME : `${rootdirectory}/${RESERVED_NAME}`
  const opened: StorageDriver[] = []
  const isOpen = await look(
    say,
    'bucket',
    'correct accesskeyid, accesskeysecret, region, bucket or endpoint',
    async () => {
      const { openBosDriver } = await import('../../driver/bos/driver.js')
      opened.push(await openBosDriver({ ...parameters, rootdirectory: below }, { signal }))
      return `${bucket} is there, and the credentials are good`
    },
  )
  const [driver] = opened
  if (!isOpen || driver === undefined) return
  try {
    const grant = (right: string): string =>
      `grant the credentials ${right} in the bucket's policy or IAM`
    await look(say, 'list', grant('LIST'), async () => {
      for await (const _page of driver.entries('/', { signal })) break
      return 'objects can be listed'
    })
    if (readOnly) {
      await say({ check: 'write', status: 'skip', detail: 'the mount is to be read-only' })
      return
    }
    await tryWrites(say, driver, { signal, grant })
  } finally {
    await driver.close()
  }
}

interface Try {
  readonly signal: AbortSignal
  readonly grant: (right: string) => string
}

async function tryWrites(say: Say, driver: StorageDriver, { signal, grant }: Try): Promise<void> {
  const path = `/doctor-${randomUUID()}`
  const content = Buffer.from('bosmount doctor')
  const hasPut = await look(say, 'put', grant('WRITE'), async () => {
    await driver.putContent(path, content, { signal })
    return 'objects can be stored'
  })
  if (hasPut) {
    await look(say, 'get', grant('READ'), async () => {
      const read = await driver.getContent(path, { signal })
      if (!read.equals(content)) throw new Error('what was stored comes back as something else')
      return 'objects can be read'
    })
    await look(say, 'conditions', 'use one host only: two could overwrite each other unseen', () =>
      tryCondition(driver, path, signal),
    )
    await look(say, 'delete', grant('WRITE (DeleteObject)'), async () => {
      await driver.deleteFile(path, { signal })
      return 'objects can be deleted'
    })
  }
  await look(say, 'multipart', grant('WRITE (multipart uploads)'), async () => {
    const composition = await driver.compose(path, { signal })
    try {
      await composition.uploadPart(1, [content], { signal })
    } finally {
      await composition.abort({ signal })
    }
    return 'big files can be stored in parts'
  })
}

async function tryCondition(
  driver: StorageDriver,
  path: string,
  signal: AbortSignal,
): Promise<string | Omit<Finding, 'check'>> {
  try {
    await driver.putContent(path, Buffer.alloc(0), { signal, ifNoneMatch: '*' })
  } catch (error) {
    if (error instanceof PreconditionError) return 'a host cannot overwrite what it has not seen'
    throw error
  }
  return {
    status: 'warn',
    detail: 'the endpoint does not heed If-None-Match',
    advice: 'use one host only: two could overwrite each other unseen',
  }
}
