/** What a row of bench/write.ts is. */
import type { Scene } from './scene.js'

export interface Line {
  readonly what: string
  readonly value: number
  readonly unit: 's' | 'requests' | 'MiB'
  /** What it is held against, in the same unit: the ratio is `against / value`. */
  readonly against?: number
  readonly goal: string
}

export interface Row {
  readonly name: string
  /** An option of `mount` without which there is nothing to measure. */
  readonly needs?: string
  readonly run: (scene: Scene) => Promise<readonly Line[]>
}

/** Of mounts that confirm when a local journal has it. */
export const JOURNAL = ['--durability', 'journal'] as const
