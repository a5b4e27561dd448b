/**
 * The file of one block on a local disk: what is in it, and reading it with as few calls as can be.
 *
 * A header of magic number, CRC-32, length of the block and size of the file that the block belongs to; then
 * the block. The checksum is over all but itself, and over the name of the file: one in another's place
 * is no block.
 */
import { close, futimes, open, read } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { Bytes } from '../util/units.js'

/** A block, and the size of the file that it belongs to. */
export interface StoredBlock {
  readonly data: Buffer
  readonly fileSize: Bytes
}

const MAGIC = 0x424f5331
/** Magic number, CRC-32, length of the block, size of the file. */
const HEADER: Bytes = 4 + 4 + 4 + 8

/** How large the file of a block is. */
export function fileLength(data: Uint8Array): Bytes {
  return HEADER + data.length
}

/** @param file  is written to, from its beginning, so many bytes as `fileLength` tells */
export function encodeBlock(
  file: Buffer,
  id: string,
  { data, fileSize }: { readonly data: Uint8Array; readonly fileSize: Bytes },
): void {
  file.writeUInt32LE(MAGIC, 0)
  file.writeUInt32LE(data.length, 8)
  file.writeDoubleLE(fileSize, 12)
  file.set(data, HEADER)
  file.writeUInt32LE(checksum(id, file.subarray(0, fileLength(data))), 4)
}

/** @returns a part of `file`, or undefined if it is not what was written under this name */
export function decodeBlock(id: string, file: Buffer): StoredBlock | undefined {
  if (file.length < HEADER || file.readUInt32LE(0) !== MAGIC) return undefined
  if (file.readUInt32LE(8) !== file.length - HEADER) return undefined
  if (file.readUInt32LE(4) !== checksum(id, file)) return undefined
  return { data: file.subarray(HEADER), fileSize: file.readDoubleLE(12) }
}

function checksum(id: string, file: Buffer): number {
  return crc32(file.subarray(8), crc32(id))
}

/**
 * Reads a file from its beginning, as far as there is room.
 * @param used  is noted as the time when the file was last used, if given
 * @returns how many bytes there were
 * @throws what open(2) or read(2) fail with
 */
export function readBeginning(path: string, room: Buffer, used?: Date): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    open(path, 'r', (failed, fd) => {
      if (failed !== null) return reject(failed)
      const end = (error: Error | null, filled: Bytes): void => {
        close(fd, () => (error === null ? resolve(filled) : reject(error)))
      }
      // Of a file on a disk, what one read(2) gives less than was asked for is all there is.
      read(fd, room, 0, room.length, 0, (error, filled) => {
        if (error !== null || used === undefined) return end(error, filled)
        futimes(fd, used, used, () => end(null, filled))
      })
    })
  })
}
