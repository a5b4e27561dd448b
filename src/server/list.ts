/**
 * Paging of ListObjects and ListMultipartUploads over an ordered cursor. Pure, given the cursor.
 *
 * Model: keys in UTF-8 byte order. With a delimiter, keys that share a prefix up to and including the
 * first delimiter behind the asked prefix form a group that is listed as one common prefix. Entries and
 * groups together count towards the limit.
 *
 * What BOS does that others do not: a group that contains the marker is not repeated, and `nextMarker`
 * is a real key inside the last group of a page, not the group's name. A group is left by seeking past
 * it, never by walking through it.
 */

export interface CursorEntry<Value> {
  readonly key: Buffer
  readonly value: Value
}

/** Something that can be read in byte order of its keys from any point on. A key may come repeatedly. */
export interface KeyCursor<Value> {
  /** Entries with a key at or after `from`. */
  seek(from: Buffer): Iterable<CursorEntry<Value>>
}

export interface ListQuery {
  readonly prefix: string
  /** One character, or empty for none. */
  readonly delimiter: string
  /** Exclusive. */
  readonly marker: string
  readonly limit: number
}

export interface ListPage<Value> {
  readonly entries: readonly { readonly key: string; readonly value: Value }[]
  readonly commonPrefixes: readonly string[]
  readonly isTruncated: boolean
  /** The last real key that this page accounts for; present when truncated. */
  readonly nextMarker?: string
}

/**
 * One page. Repeated keys (uploads) are never parted by the end of a page, because a marker could not
 * name the place between them; such a page may exceed the limit.
 */
export function listPage<Value>(cursor: KeyCursor<Value>, query: ListQuery): ListPage<Value> {
  const prefix = Buffer.from(query.prefix)
  const delimiter = Buffer.from(query.delimiter)
  const entries: { key: string; value: Value }[] = []
  const commonPrefixes: string[] = []
  let last: Buffer | undefined
  let from: Buffer | undefined = firstPosition(prefix, delimiter, Buffer.from(query.marker))

  while (from !== undefined && query.limit > 0) {
    let next: Buffer | undefined
    for (const { key, value } of cursor.seek(from)) {
      if (!startsWith(key, prefix)) break
      const repeated = last !== undefined && key.equals(last)
      if (!repeated && entries.length + commonPrefixes.length >= query.limit) {
        return { entries, commonPrefixes, isTruncated: true, nextMarker: String(last) }
      }
      last = key
      const group = groupOf(key, prefix, delimiter)
      if (group !== undefined) {
        commonPrefixes.push(String(group))
        next = following(group)
        break
      }
      entries.push({ key: String(key), value })
    }
    from = next
  }
  return { entries, commonPrefixes, isTruncated: false }
}

function firstPosition(prefix: Buffer, delimiter: Buffer, marker: Buffer): Buffer | undefined {
  if (marker.length === 0) return prefix
  const group = startsWith(marker, prefix) ? groupOf(marker, prefix, delimiter) : undefined
  const after = group === undefined ? Buffer.concat([marker, Buffer.of(0)]) : following(group)
  if (after === undefined) return undefined
  return Buffer.compare(after, prefix) > 0 ? after : prefix
}

function groupOf(key: Buffer, prefix: Buffer, delimiter: Buffer): Buffer | undefined {
  if (delimiter.length === 0) return undefined
  const at = key.indexOf(delimiter, prefix.length)
  return at === -1 ? undefined : key.subarray(0, at + delimiter.length)
}

/** The first position behind everything that starts with `group`; undefined when there is none. */
function following(group: Buffer): Buffer | undefined {
  let end = group.length
  while (end > 0 && group[end - 1] === 0xff) end -= 1
  if (end === 0) return undefined
  const next = Buffer.from(group.subarray(0, end))
  next[end - 1] = (next[end - 1] ?? 0) + 1
  return next
}

function startsWith(key: Buffer, prefix: Buffer): boolean {
  return (
    key.length >= prefix.length && key.compare(prefix, 0, prefix.length, 0, prefix.length) === 0
  )
}
