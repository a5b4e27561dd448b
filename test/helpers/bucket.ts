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
 * Every object of the bucket: files with their content, and directory markers.
 *
 * A marker is needed only where a directory has nothing else in it, and is an entry like
 * `contentsOf` gives for it. A marker of a directory that is not empty is shown as such: it is not
 * wrong, but more than is needed.
 */
export async function bucketContents(t: Owner, server: Server): Promise<Contents> {
  const driver = await openBucket(t, server)
  const found: Record<string, string> = {}
  await driver.walk('/', async ({ path, isDir }) => {
    if (!isDir) {
      found[path] = fingerprint(await driver.getContent(path))
      return
    }
    // Only stat asks for the marker itself, whose time it then gives.
    const { modTime } = await driver.stat(path, { expect: 'directory' })
    if (modTime === undefined) return
    const isEmpty = (await driver.list(path)).length === 0
    found[`${path}/`] = isEmpty ? EMPTY_DIRECTORY : 'marker of a directory that is not empty'
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
