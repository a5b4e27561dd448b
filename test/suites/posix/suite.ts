/**
 * The POSIX suite: every case is run on a plain local folder, the oracle, and on the subject; what
 * both found out is compared leaf by leaf. A subject may differ only where `differences.ts` says so,
 * with exactly what it says, for a reason that the documents give: a difference that has gone fails.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Milliseconds } from '../../../src/util/units.js'
import { attributeCases } from './attributes.js'
import { ANYTHING, differencesOf, EITHER, type Found, type SubjectName } from './differences.js'
import { directoryCases } from './directories.js'
import { HostOs, type HostOptions } from './host-os.js'
import { linkCases } from './links.js'
import { lockCases } from './locks.js'
import { mappingCases } from './mapping.js'
import { nameCases } from './names.js'
import { openCases } from './open.js'
import { codeOf, type AnyCase, type Os, type Result } from './os.js'
import { renameCases } from './rename.js'
import { sparseCases } from './sparse.js'
import { truncateCases } from './truncate.js'
import { unlinkCases } from './unlink.js'
import { writeCases } from './write.js'
import { xattrCases } from './xattrs.js'

export const CHAPTERS: Readonly<Record<string, readonly AnyCase[]>> = {
  opening: openCases,
  'reading and writing': writeCases,
  truncating: truncateCases,
  'holes and copies': sparseCases,
  renaming: renameCases,
  removing: unlinkCases,
  directories: directoryCases,
  names: nameCases,
  attributes: attributeCases,
  'links and nodes': linkCases,
  'extended attributes': xattrCases,
  locks: lockCases,
  mappings: mappingCases,
}

/** One empty place per case. */
export interface Place {
  readonly os: Os
  /** The folder that a kernel shows, if one does. */
  readonly root?: string
}

export interface Subject {
  readonly name: SubjectName
  /** A new empty place for one case. */
  place(name: string): Promise<Place>
}

const CASE_LIMIT: Milliseconds = 120_000

/** Runs all cases that the subject can be asked, and compares. @param folder For the oracle. */
export async function posixSuite(t: Test, subject: Subject, folder: string): Promise<void> {
  const umask = process.umask(0o022)
  t.teardown(() => process.umask(umask))
  const oracle = folderSubject(folder)
  const limit = { timeout: CASE_LIMIT }
  for (const [chapter, cases] of Object.entries(CHAPTERS)) {
    await t.test(chapter, { timeout: CASE_LIMIT * 3 }, async t => {
      for (const [index, each] of cases.entries()) {
        const name = `${chapter.replaceAll(' ', '-')}-${index}`
        const place = await subject.place(name)
        if ('onKernel' in each && place.root === undefined) continue
        await t.test(each.title, limit, async t => {
          const expected = await perform(each, await oracle.place(name), { asOracle: true })
          const found = await perform(each, place, { asOracle: false })
          const declared = differencesOf(subject.name, each.title)
          const differing = named(differencesBetween(expected, found), declared)
          t.same(differing, declared, 'differs where it is said to, and as it is said to')
        })
      }
    })
  }
}

/** What is found, or as little of it as is declared. */
function named(differing: Record<string, Result>, declared: Found): Found {
  const result: Record<string, Found[string]> = { ...differing }
  for (const [at, found] of Object.entries(declared)) {
    if (found === EITHER || (found === ANYTHING && at in differing)) result[at] = found
  }
  return result
}

/** Folders of the host below one. */
export function folderSubject(
  folder: string,
  { name = 'fuse', ...options }: { readonly name?: SubjectName } & HostOptions = {},
): Subject {
  return {
    name,
    async place(place) {
      const root = join(folder, place)
      mkdirSync(root)
      return Promise.resolve({ os: new HostOs(root, options), root })
    },
  }
}

/** A case that a failing call ends has that failure as its result. */
async function perform(
  each: AnyCase,
  { os, root = '' }: Place,
  { asOracle }: { readonly asOracle: boolean },
): Promise<Result> {
  try {
    if ('onKernel' in each) return await each.onKernel(os, root)
    return await (asOracle ? (each.oracle ?? each.run) : each.run)(os)
  } catch (error) {
    return `ends with ${codeOf(error)}`
  }
}

/** The leaves in which one result differs from another: where, and what is found there. */
function differencesBetween(expected: Result, found: Result): Record<string, Result> {
  const differing: Record<string, Result> = {}
  const compare = (one: Result | undefined, other: Result | undefined, where: string): void => {
    if (isBranch(one) && isBranch(other)) {
      const keys = new Set([...Object.keys(one), ...Object.keys(other)])
      for (const key of keys) compare(one[key], other[key], where === '' ? key : `${where}.${key}`)
    } else if (JSON.stringify(one) !== JSON.stringify(other)) {
      differing[where] = other ?? 'missing'
    }
  }
  compare(expected, found, '')
  return differing
}

function isBranch(value: Result | undefined): value is Readonly<Record<string, Result>> {
  return typeof value === 'object' && value !== null
}
