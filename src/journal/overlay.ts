/**
 * What is pending, by place in the tree: which names the journal adds to a directory, hides in it, or
 * knows better than the store.
 *
 * Model: one node per path that has something pending at or below it; each counts the puts and the deletes
 * below, so that "does this directory exist" and "is anything hidden in it" cost no walk.
 */
import { childPath } from '../driver/path.js'
import type { Milliseconds } from '../util/units.js'
import { isMarkerKey } from './record.js'
import type { JournalRecord, PutRecord } from './record.js'

/** One key with something pending. */
export interface Entry {
  readonly key: string
  /** The latest. */
  record: JournalRecord
  /** What is on its way to the store, the latest or an older one. */
  sending: JournalRecord | undefined
  /** The latest may have got to the store, although nobody has confirmed it. */
  attempted: boolean
  failures: number
  /** Not to be sent again before; a clock that never goes back. */
  notBefore: Milliseconds
}

interface Node {
  readonly path: string
  readonly parent: Node | undefined
  readonly name: string
  readonly children: Map<string, Node>
  file: Entry | undefined
  marker: Entry | undefined
  /** Entries strictly below and the marker: those that put something, and those that delete. */
  puts: number
  deletes: number
}

/** What the journal says of one name in a directory. */
export interface Child {
  readonly name: string
  readonly path: string
  readonly file: JournalRecord | undefined
  readonly marker: JournalRecord | undefined
  /** Something is put below it, or its marker. */
  readonly isDirectory: boolean
  /** Something below it is hidden, or its marker. */
  readonly hides: boolean
}

export class Overlay {
  readonly #root: Node = node('/', '', undefined)
  readonly #bySeq = new Map<number, Entry>()

  get size(): number {
    return this.#bySeq.size
  }

  /** In the order of their latest changes. */
  entries(): IterableIterator<Entry> {
    return this.#bySeq.values()
  }

  entry(key: string): Entry | undefined {
    const at = this.#find(key)
    return isMarkerKey(key) ? at?.marker : at?.file
  }

  get(key: string): JournalRecord | undefined {
    return this.entry(key)?.record
  }

  /** Puts a record in the place of what is there. */
  set(record: JournalRecord): Entry {
    const { key } = record
    const at = this.#make(key)
    const found = isMarkerKey(key) ? at.marker : at.file
    const entry: Entry = found ?? {
      key,
      record,
      sending: undefined,
      attempted: false,
      failures: 0,
      notBefore: 0,
    }
    if (found !== undefined) {
      this.#bySeq.delete(found.record.seq)
      count(at, found.record, -1)
      found.record = record
      found.attempted = false
      found.failures = 0
      found.notBefore = 0
    }
    if (isMarkerKey(key)) at.marker = entry
    else at.file = entry
    count(at, record, 1)
    this.#bySeq.set(record.seq, entry)
    return entry
  }

  remove(entry: Entry): void {
    const { key, record } = entry
    const at = this.#find(key)
    if (at === undefined) return
    if (isMarkerKey(key)) at.marker = undefined
    else at.file = undefined
    count(at, record, -1)
    this.#bySeq.delete(record.seq)
    for (let empty: Node | undefined = at; empty?.parent !== undefined; empty = empty.parent) {
      if (empty.file !== undefined || empty.marker !== undefined || empty.children.size > 0) return
      empty.parent.children.delete(empty.name)
    }
  }

  /** Whether something is put below the path, or its marker: it is a directory then. */
  isDirectory(path: string): boolean {
    return (this.#find(path)?.puts ?? 0) > 0
  }

  /** Whether something is deleted below the path, or its marker. */
  hides(path: string): boolean {
    return (this.#find(path)?.deletes ?? 0) > 0
  }

  /** Whether anything is pending at the path or below. */
  concerns(path: string): boolean {
    return this.#find(path) !== undefined
  }

  /** What the journal says of the names in a directory. */
  *children(path: string): Generator<Child> {
    for (const child of this.#find(path)?.children.values() ?? []) {
      yield {
        name: child.name,
        path: child.path,
        file: child.file?.record,
        marker: child.marker?.record,
        isDirectory: child.puts > 0,
        hides: child.deletes > 0,
      }
    }
  }

  /**
   * Directories of which only the store knows whether they still exist: something in them is hidden, and
   * nothing put. @param deep  at any depth below the path; else its children alone
   */
  hollow(path: string, deep: boolean): string[] {
    const found: string[] = []
    const visit = (at: Node): void => {
      for (const child of at.children.values()) {
        if (child.deletes > 0 && child.puts === 0) found.push(child.path)
        else if (deep) visit(child)
      }
    }
    const at = this.#find(path)
    if (at !== undefined) visit(at)
    return found
  }

  /** All that is pending at a path and below it. */
  *below(path: string): Generator<Entry> {
    const at = this.#find(path)
    if (at !== undefined) yield* entriesOf(at)
  }

  /** What is older and pending, and must not be overtaken by this. */
  *blockers({ key, record }: Entry): Generator<Entry> {
    const at = this.#find(key)
    if (at === undefined) return
    const isOlder = (other: Entry | undefined): other is Entry =>
      other !== undefined && other.key !== key && other.record.seq < record.seq
    for (let above = at.parent; above !== undefined; above = above.parent) {
      if (isOlder(above.file)) yield above.file
      if (isOlder(above.marker) && above.marker.record.kind === 'delete') yield above.marker
    }
    if (isMarkerKey(key)) {
      if (isOlder(at.file)) yield at.file
      // That a directory exists disturbs nothing in it.
      if (record.kind === 'put') return
    } else if (isOlder(at.marker) && at.marker.record.kind === 'delete') yield at.marker
    if (at.children.size === 0) return
    for (const other of entriesOf(at)) if (isOlder(other)) yield other
  }

  bySeq(seq: number): Entry | undefined {
    return this.#bySeq.get(seq)
  }

  #find(key: string): Node | undefined {
    let at: Node | undefined = this.#root
    for (const name of namesOf(key)) {
      at = at.children.get(name)
      if (at === undefined) return undefined
    }
    return at
  }

  #make(key: string): Node {
    let at = this.#root
    for (const name of namesOf(key)) {
      const next: Node = at.children.get(name) ?? node(childPath(at.path, name), name, at)
      at.children.set(name, next)
      at = next
    }
    return at
  }
}

function node(path: string, name: string, parent: Node | undefined): Node {
  return {
    path,
    name,
    parent,
    children: new Map(),
    file: undefined,
    marker: undefined,
    puts: 0,
    deletes: 0,
  }
}

function namesOf(key: string): string[] {
  return key.split('/').filter(name => name !== '')
}

function count(
  at: Node,
  { key, kind }: Pick<PutRecord, 'key'> & { kind: string },
  by: 1 | -1,
): void {
  for (let each = isMarkerKey(key) ? at : at.parent; each !== undefined; each = each.parent) {
    if (kind === 'put') each.puts += by
    else each.deletes += by
  }
}

function* entriesOf(at: Node): Generator<Entry> {
  if (at.file !== undefined) yield at.file
  if (at.marker !== undefined) yield at.marker
  for (const child of at.children.values()) yield* entriesOf(child)
}
