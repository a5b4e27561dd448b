/**
 * What a crash test does to a server, one step at a time, and what must be stored before and after each
 * step. A worker has names of its own, so that its model is exact. A helper of test/server/crash.ts.
 */
import { md5Of, seededBytes } from '../helpers/bos-harness.js'
import { textOf, type Reply, type TestClient } from '../helpers/bos-client.js'

/** MD5 of the content by key; a directory ends with `/`. */
export type State = ReadonlyMap<string, string>

export interface Step {
  readonly name: string
  readonly after: State
  readonly run: (client: TestClient) => Promise<void>
}

type Random = () => number

const SIZES = [0, 100, 16 * 1024, 20_000, 150_000, 700_000]
const NAMES = ['a', 'b', 'c', 'd']

/** A step that is possible in this state. */
export function chooseStep(state: State, prefix: string, random: Random): Step {
  const pick = <Value>(list: readonly Value[]): Value | undefined =>
    list[Math.floor(random() * list.length)]
  const files = [...state.keys()].filter(key => !key.endsWith('/'))
  const folders = [...state.keys()].filter(key => key.endsWith('/') && key !== prefix)
  const isTree = state.has(prefix)
  const parent = isTree ? (pick([prefix, ...folders]) ?? prefix) : prefix
  const target = parent + (pick(NAMES) ?? 'a')
  const file = pick(files)
  const folder = pick(folders)
  const body = seededBytes((pick(SIZES) ?? 0) + Math.floor(random() * 10))
  const free = !state.has(`${target}/`)
  const chance = random()
  if (isTree && chance < 0.15 && free && !state.has(target)) return makeFolder(state, target)
  if (folder !== undefined && chance < 0.3) {
    const moved = `${prefix}${pick(NAMES) ?? 'a'}-moved/`
    return state.has(moved) || moved.startsWith(folder)
      ? deleteFolder(state, folder)
      : moveFolder(state, folder, moved)
  }
  if (!free) return put(state, `${prefix}file`, body)
  if (file !== undefined && chance < 0.45) return remove(state, file)
  if (file !== undefined && file !== target && chance < 0.6) return rename(state, file, target)
  if (file !== undefined && file !== target && chance < 0.7) return copy(state, file, target)
  if (chance < 0.8) return upload(state, target, random)
  if (chance < 0.85) return append(state, target, random)
  return put(state, target, body)
}

function put(state: State, key: string, body: Buffer): Step {
  return {
    name: `put ${key} of ${body.length}`,
    after: new Map(state).set(key, md5Of(body)),
    run: async client => expect(await client.call('PUT', { key, body })),
  }
}

function remove(state: State, key: string): Step {
  const after = new Map(state)
  after.delete(key)
  return {
    name: `delete ${key}`,
    after,
    run: async client => expect(await client.call('DELETE', { key })),
  }
}

function rename(state: State, from: string, key: string): Step {
  const after = new Map(state).set(key, state.get(from) ?? '')
  after.delete(from)
  const headers = { 'x-bce-rename-key': from }
  return {
    name: `rename ${from} to ${key}`,
    after,
    run: async client => expect(await client.call('POST', { key, headers })),
  }
}

function copy(state: State, from: string, key: string): Step {
  return {
    name: `copy ${from} to ${key}`,
    after: new Map(state).set(key, state.get(from) ?? ''),
    run: async client => {
      const headers = { 'x-bce-copy-source': `/${client.bucket}/${from}` }
      expect(await client.call('PUT', { key, headers }))
    },
  }
}

function upload(state: State, key: string, random: Random): Step {
  const pieces = [1, 2, 3].map(part => seededBytes(110_000 + part + Math.floor(random() * 1000)))
  return {
    name: `upload ${key}`,
    after: new Map(state).set(key, md5Of(Buffer.concat(pieces))),
    run: async client => {
      const started = await client.call('POST', { key, query: { uploads: '' } })
      expect(started)
      const uploadId = textOf(started, 'uploadId')
      const parts: { partNumber: number; eTag: string }[] = []
      for (const [index, body] of pieces.entries()) {
        const query = { uploadId, partNumber: String(index + 1) }
        const part = await client.call('PUT', { key, query, body })
        expect(part)
        parts.push({ partNumber: index + 1, eTag: part.headers.etag ?? '' })
      }
      const body = JSON.stringify({ parts })
      expect(await client.call('POST', { key, query: { uploadId }, body }))
    },
  }
}

function append(state: State, key: string, random: Random): Step {
  const body = seededBytes(30_000 + Math.floor(random() * 1000))
  return {
    name: `append ${key}`,
    after: new Map(state).set(key, md5Of(body)),
    run: async client => expect(await client.call('POST', { key, query: { append: '' }, body })),
  }
}

function makeFolder(state: State, name: string): Step {
  const key = `${name}/`
  return {
    name: `mkdir ${key}`,
    after: new Map(state).set(key, md5Of(Buffer.of())),
    run: async client => expect(await client.call('PUT', { key })),
  }
}

function deleteFolder(state: State, key: string): Step {
  return {
    name: `delete all of ${key}`,
    after: new Map([...state].filter(([name]) => !name.startsWith(key))),
    run: async client => {
      expect(await client.call('DELETE', { key, headers: { 'x-bce-delete-recursive': 'true' } }))
    },
  }
}

function moveFolder(state: State, from: string, key: string): Step {
  const moved = [...state].map(([name, md5]): [string, string] => {
    return [name.startsWith(from) ? key + name.slice(from.length) : name, md5]
  })
  return {
    name: `rename ${from} to ${key}`,
    after: new Map(moved),
    run: async client =>
      expect(await client.call('POST', { key, headers: { 'x-bce-rename-key': from } })),
  }
}

function expect({ status, body }: Reply): void {
  if (status >= 300) throw new UnexpectedReply(`${status} ${body.toString()}`)
}

/** The server answered, and not with success: never the consequence of a kill. */
export class UnexpectedReply extends Error {
  override readonly name = 'UnexpectedReply'
}
