/**
 * What a crash test does on a mount, one step at a time, and what must be there before and after each
 * step. A writer has two directories of its own, so that its model is exact. A helper of crash.ts.
 *
 * A step ends with what confirms it: close, fsync, or the return of rename; an unlink is confirmed by
 * fsync of the directory, as names that go in bulk go later.
 */
import { open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { seededBytes } from '../helpers/bos-harness.js'

/** Content by path, relative to the mount. */
export type State = ReadonlyMap<string, Buffer>

export interface Step {
  readonly name: string
  /** States that a step which was not confirmed may leave, besides the one before. */
  readonly outcomes: readonly State[]
  /** @param reached  called with each outcome that is confirmed, before the step goes on */
  readonly run: (root: string, reached: (state: State) => void) => Promise<void>
}

type Random = () => number

const SIZES = [0, 1, 4096, 20_000, 150_000, 1_500_000]
/** More than one part of 5 MiB, so that an upload is under way. */
const LARGE = 11 * 1024 * 1024
const NAMES = ['a', 'b', 'c']

export function foldersOf(writer: string): readonly string[] {
  return [`${writer}-one`, `${writer}-two`]
}

/** A step that is possible in this state. */
export function chooseStep(state: State, writer: string, random: Random): Step {
  const pick = <Value>(list: readonly Value[], otherwise: Value): Value =>
    list[Math.floor(random() * list.length)] ?? otherwise
  const folder = pick(foldersOf(writer), writer)
  const path = `${folder}/${pick(NAMES, 'a')}`
  const file = pick([...state.keys()], undefined)
  const size = random() < 0.08 ? LARGE : pick(SIZES, 0)
  const body = seededBytes(size + Math.floor(random() * 10))
  const chance = random()
  if (file === undefined || chance < 0.3) return create(state, path, body)
  if (chance < 0.42) return sync(state, path, body)
  if (chance < 0.57) return append(state, file, body)
  if (chance < 0.7) return overwrite(state, file, { body, random })
  if (chance < 0.78) return cut(state, file, Math.floor(random() * 10_000))
  if (chance < 0.93 && path !== file) return move(state, file, path)
  return remove(state, file)
}

function having(state: State, path: string, content: Buffer): State {
  return new Map([...state, [path, content]])
}

function lacking(state: State, path: string): State {
  return new Map([...state].filter(([name]) => name !== path))
}

function create(state: State, path: string, body: Buffer): Step {
  const after = having(state, path, body)
  return {
    name: `create ${path} with ${body.length} bytes`,
    outcomes: [after],
    run: async (root, reached) => {
      const file = await open(join(root, path), 'w')
      await closing(file, () => file.writeFile(body))
      reached(after)
    },
  }
}

/** Confirmed by fsync, and goes on. */
function sync(state: State, path: string, body: Buffer): Step {
  const synced = having(state, path, body)
  const after = having(state, path, Buffer.concat([body, body.subarray(0, 1000)]))
  return {
    name: `fsync ${path} with ${body.length} bytes`,
    outcomes: [synced, after],
    run: async (root, reached) => {
      const file = await open(join(root, path), 'w')
      await closing(file, async () => {
        await file.writeFile(body)
        await file.sync()
        reached(synced)
        await file.write(body.subarray(0, 1000), 0, undefined, body.length)
      })
      reached(after)
    },
  }
}

function append(state: State, path: string, body: Buffer): Step {
  const after = having(state, path, Buffer.concat([contentOf(state, path), body]))
  return {
    name: `append ${body.length} bytes to ${path}`,
    outcomes: [after],
    run: async (root, reached) => {
      const file = await open(join(root, path), 'a')
      await closing(file, () => file.writeFile(body))
      reached(after)
    },
  }
}

function overwrite(
  state: State,
  path: string,
  { body, random }: { readonly body: Buffer; readonly random: Random },
): Step {
  const before = contentOf(state, path)
  const at = Math.floor(random() * before.length)
  const patch = body.subarray(0, Math.min(body.length, 5000))
  const content = Buffer.alloc(Math.max(before.length, at + patch.length))
  before.copy(content)
  patch.copy(content, at)
  const after = having(state, path, content)
  return {
    name: `overwrite ${patch.length} bytes at ${at} of ${path}`,
    outcomes: [after],
    run: async (root, reached) => {
      const file = await open(join(root, path), 'r+')
      await closing(file, async () => void (await file.write(patch, 0, patch.length, at)))
      reached(after)
    },
  }
}

function cut(state: State, path: string, size: number): Step {
  const content = Buffer.alloc(size)
  contentOf(state, path).copy(content)
  const after = having(state, path, content)
  return {
    name: `truncate ${path} to ${size} bytes`,
    outcomes: [after],
    run: async (root, reached) => {
      const file = await open(join(root, path), 'r+')
      await closing(file, async () => file.truncate(size))
      reached(after)
    },
  }
}

function move(state: State, from: string, to: string): Step {
  const copied = having(state, to, contentOf(state, from))
  const after = lacking(copied, from)
  return {
    name: `rename ${from} to ${to}`,
    // Interrupted, both names may be there.
    outcomes: [copied, after],
    run: async (root, reached) => {
      await rename(join(root, from), join(root, to))
      reached(after)
    },
  }
}

function remove(state: State, path: string): Step {
  const after = lacking(state, path)
  return {
    name: `unlink ${path}`,
    outcomes: [after],
    run: async (root, reached) => {
      await unlink(join(root, path))
      const directory = await open(join(root, path, '..'), 'r')
      await closing(directory, () => directory.sync())
      reached(after)
    },
  }
}

function contentOf(state: State, path: string): Buffer {
  const content = state.get(path)
  if (content === undefined) throw new Error(`${path} is not there`)
  return content
}

/** Closes the file even if the work fails; close(2) is part of what is confirmed. */
export async function closing<Value>(
  file: { close: () => Promise<void> },
  work: () => Promise<Value>,
): Promise<Value> {
  let value: Value
  try {
    value = await work()
  } catch (error) {
    await file.close().catch(() => undefined)
    throw error
  }
  await file.close()
  return value
}
