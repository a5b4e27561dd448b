/** What the driver suite runs on, and how its tests are written. */
import type { Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { PathNotFoundError } from '../../../src/driver/errors.js'
import { failure } from '../../driver/helpers.js'

export interface DriverSubject {
  readonly driver: StorageDriver
  /** Directories are real: they stay when nothing is in them, and no file has the name of one. */
  readonly hierarchical?: boolean
  /** Directories that only something unfinished implies do not come about before it is finished. */
  readonly defersParents?: boolean
  /** How much is on a page of a listing is not what the store has on one. */
  readonly hasOwnPages?: boolean
  /** A driver on the same store that shares nothing else, as another process would have it. */
  reopen(): Promise<StorageDriver>
  /** Stores an object under any key below the driver's root, behind the driver's back. */
  plant?(key: string, content: Uint8Array): Promise<void>
}

/** Makes an empty store; cleans up by `t.teardown`. */
export type DriverFactory = (t: Test) => Promise<DriverSubject>

/** One behaviour: a sentence and its check. */
export type Behaviour = (
  title: string,
  check: (t: Test, driver: StorageDriver, subject: DriverSubject) => Promise<void>,
) => void

/** Runs each behaviour on a store of its own, which must be empty again after a recursive delete. */
export function behaviours(t: Test, factory: DriverFactory): Behaviour {
  return (title, check) => {
    void t.test(title, async t => {
      const subject = await factory(t)
      const { driver } = subject
      await check(t, driver, subject)
      for (const path of await driver.list('/')) await driver.delete(path)
      t.same(await driver.list('/'), [], 'nothing is left at the root')
    })
  }
}

/** The promise rejects with PathNotFoundError for this path, and the error names the driver. */
export async function isNotFound(
  t: Test,
  driver: StorageDriver,
  path: string,
  promise: Promise<unknown>,
): Promise<void> {
  const error = await failure(promise)
  if (!(error instanceof PathNotFoundError)) throw error
  t.equal(error.path, path)
  t.equal(error.driver, driver.name)
  t.match(error.message, driver.name)
}
