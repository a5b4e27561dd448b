/** What a row of bench/read.ts is. */
import { MiB } from '../../src/util/units.js'
import type { Scene } from './scene.js'

/** One figure of one round. */
export interface Sample {
  readonly name: string
  readonly value: number
}

export interface Row {
  readonly name: string
  readonly unit: string
  /** All figures of all rounds, measured in turn. */
  readonly run: (scene: Scene) => Promise<readonly Sample[]>
  /** The ratio of the median of `of` to that of `to`. */
  readonly ratios: readonly { readonly of: string; readonly to: string; readonly goal: string }[]
}

/** MiB per second. */
export function rate(name: string, bytes: number, time: number): Sample {
  return { name, value: bytes / MiB / time }
}

/** What is measured anew in each round. */
export async function inRounds(
  { rounds }: Scene,
  round: () => Promise<readonly Sample[]>,
): Promise<readonly Sample[]> {
  const samples: Sample[] = []
  for (let i = 0; i < rounds; i += 1) samples.push(...(await round()))
  return samples
}
