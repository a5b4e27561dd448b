/**
 * AppendObject. The etag of an appendable object is the MD5 of all of it; see running-md5.ts for what
 * that costs. Otherwise an append costs what its piece does, however long the object is.
 */
import { receiveContent } from '../body.js'
import { numberParameter, requireAddress, type Context } from '../context.js'
import { combineCrc32 } from '../crc-combine.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import { checksumHeaders, readAttributes } from '../metadata.js'
import { newMd5 } from '../running-md5.js'
import { filesOf, type Content, type ObjectRecord } from '../store.js'
import { keep, writeGuard } from './object.js'

export async function appendObject(exchange: Exchange, context: Context): Promise<void> {
  const address = requireAddress(exchange, context)
  const isOffsetGiven = (exchange.query.get('offset') ?? '') !== ''
  const offset = numberParameter(exchange, 'offset', 0)
  const base = isOffsetGiven ? findBase(context.store.object(address), offset) : undefined
  const attributes = base ?? readAttributes(exchange.headers, address.key, context.switches)
  const guard = writeGuard(exchange)
  const piece = await receiveContent(exchange, context.files)
  const record = await keep(piece, context, async () => {
    const { store } = context
    if (base === undefined) {
      const content = { ...piece, type: 'Appendable' } as const
      return await store.putObject(address, content, attributes, current => {
        guard(current)
        if (isOffsetGiven) checkUnchanged(findBase(current, offset), base)
      })
    }
    // In the turn in which its files are pinned the base must still be there.
    checkUnchanged(findBase(store.object(address), offset), base)
    return await store.appendObject(address, {
      piece,
      joined: await join(base, piece, context),
      guard: current => {
        guard(current)
        checkUnchanged(findBase(current, offset), base)
      },
    })
  })
  exchange.sendEmpty(200, {
    ETag: `"${record.etag}"`,
    ...checksumHeaders(record),
    'x-bce-next-append-offset': String(record.size),
  })
}

/** @throws ServiceError NoSuchKey, ObjectUnappendable, OffsetIncorrect */
function findBase(current: ObjectRecord | undefined, offset: number): ObjectRecord | undefined {
  if (current === undefined) {
    if (offset === 0) return undefined
    throw new ServiceError('NoSuchKey')
  }
  if (current.type !== 'Appendable') throw new ServiceError('ObjectUnappendable')
  if (current.size !== offset) {
    throw new ServiceError('OffsetIncorrect', {
      headers: { 'x-bce-next-append-offset': String(current.size) },
    })
  }
  return current
}

function checkUnchanged(current: ObjectRecord | undefined, base: ObjectRecord | undefined): void {
  const same = current?.etag === base?.etag && current?.modified === base?.modified
  if (!same) throw new ServiceError('OffsetIncorrect')
}

/** The MD5 and CRC-32 of an object with more behind it. */
async function join(
  base: ObjectRecord,
  piece: Content,
  context: Context,
): Promise<Pick<Content, 'etag' | 'crc32'>> {
  const known = context.runningMd5s.behind(base)
  const md5 = known ?? newMd5()
  const old = known === undefined ? context.store.slices(base, 0, base.size) : []
  const files = filesOf(old)
  context.files.pin(files)
  try {
    await context.reader.forEachPiece([...old, ...piece.slices], async bytes => {
      md5.update(bytes)
    })
  } finally {
    await context.files.unpin(files)
  }
  const etag = context.runningMd5s.keep(md5, base.size + piece.size)
  if (base.crc32 === undefined || piece.crc32 === undefined) return { etag }
  const crc32 = combineCrc32([
    { crc: base.crc32, size: base.size },
    { crc: piece.crc32, size: piece.size },
  ])
  return { etag, crc32 }
}
