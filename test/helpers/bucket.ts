/** What is really in the bucket: read through the storage driver, past every mount and its caches. */
import type { Owner } from './owner.js'
import { openBosDriver } from '../../src/driver/bos/driver.js'
import type { StorageDriver } from '../../src/driver/driver.js'
import { parseBosParameters } from '../../src/driver/parameters.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, type Server } from './bosmount.js'
import { EMPTY_DIRECTORY, fingerprint, type Contents } from './tree.js'

/** A driver for the bucket of a server, closed when the test ends. */
export async function openBucket(t: Owner, server: Server): Promise<StorageDriver> {
  const parameters = parseBosParameters({
    accesskeyid: ACCESS_KEY_ID,
    accesskeysecret: SECRET_ACCESS_KEY,
    region: 'bj',
    bucket: BUCKET,
    endpoint: server.endpoint,
  })
  const driver = await openBosDriver(parameters, {})
  t.teardown(() => driver.close())
  return driver
}

/**
 * Everything in the bucket: files with their content, and directories that only a marker shows.
 *
 * A directory that is not empty may have a marker too, from a time when it was empty: it says nothing
 * that its content does not say, and is left out.
 */
export async function bucketContents(t: Owner, server: Server): Promise<Contents> {
  const driver = await openBucket(t, server)
  const found: Record<string, string> = {}
  await driver.walk('/', async ({ path, isDir }) => {
    if (!isDir) {
      found[path] = fingerprint(await driver.getContent(path))
      return
    }
    if ((await driver.list(path)).length === 0) found[`${path}/`] = EMPTY_DIRECTORY
  })
  return found
}

/** Paths of uploads that were begun and neither completed nor aborted. */
export async function unfinishedUploads(t: Owner, server: Server): Promise<string[]> {
  const driver = await openBucket(t, server)
  const paths: string[] = []
  for await (const { path } of driver.uploads('/')) paths.push(path)
  return paths
}
