/**
 * The storage driver contract as behaviours: what distribution's own suite checks of a driver, and
 * what driver.ts adds to it. A function of a factory, so that every driver runs the same sentences.
 */
import type { Test } from 'tap'
import { compositions } from './driver/compositions.js'
import { contents } from './driver/contents.js'
import { metadata } from './driver/metadata.js'
import { readers, writers } from './driver/streams.js'
import { behaviours, type DriverFactory } from './driver/subject.js'
import { subtrees } from './driver/subtrees.js'
import { changes, listings, walks } from './driver/tree.js'

export type { DriverFactory, DriverSubject } from './driver/subject.js'

export interface DriverSuiteOptions {
  /** Behaviours that run at once; default 1. */
  jobs?: number
}

/** Adds one subtest per behaviour to `t`. */
export function driverSuite(
  t: Test,
  factory: DriverFactory,
  options: DriverSuiteOptions = {},
): void {
  t.jobs = options.jobs ?? 1
  const behaviour = behaviours(t, factory)
  contents(behaviour)
  readers(behaviour)
  writers(behaviour)
  listings(behaviour)
  subtrees(behaviour)
  changes(behaviour)
  walks(behaviour)
  compositions(behaviour)
  metadata(behaviour)
}
