/**
 * AppendObject. The etag of an appendable object is the MD5 of all of it, which cannot be continued from
 * what is stored: each append reads what is there. So building an object of n pieces costs n² of them.
 */
import { createHash } from 'node:crypto'
import { receiveContent } from '../body.js'
import { numberParameter, requireAddress, type Context } from '../context.js'
import { combineCrc32 } from '../crc-combine.js'
import { ServiceError } from '../errors.js'
import type { Exchange } from '../exchange.js'
import { checksumHeaders, readAttributes } from '../metadata.js'
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
    // In the turn in which its files are pinned the base must still be there.
    if (isOffsetGiven) checkUnchanged(findBase(context.store.object(address), offset), base)
    const content = base === undefined ? piece : await join(base, piece, context)
    return await context.store.putObject(
      address,
      { ...content, type: 'Appendable' },
      attributes,
      current => {
        guard(current)
        if (isOffsetGiven) checkUnchanged(findBase(current, offset), base)
      },
    )
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

async function join(base: ObjectRecord, piece: Content, context: Context): Promise<Content> {
  const slices = context.store.slices(base, 0, base.size)
  const md5 = createHash('md5')
  const files = filesOf(slices)
  context.files.pin(files)
  try {
    await context.reader.forEachPiece([...slices, ...piece.slices], async bytes => {
      md5.update(bytes)
    })
  } finally {
    await context.files.unpin(files)
  }
  const size = base.size + piece.size
  const joined = { size, etag: md5.digest('hex'), slices: [...slices, ...piece.slices] }
  if (base.crc32 === undefined || piece.crc32 === undefined) return joined
  const crc32 = combineCrc32([
    { crc: base.crc32, size: base.size },
    { crc: piece.crc32, size: piece.size },
  ])
  return { ...joined, crc32 }
}
