/** Bytes to store and ways to read them back. */
import { createHash } from 'node:crypto'
import type { EntriesPage, FileInfo, FileWriter, StorageDriver } from '../../src/driver/driver.js'

/** Bytes that look random and are the same for the same seed. */
export function bytes(length: number, seed = 1): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = (seed * 2654435761) >>> 0 || 1
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, length)
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

export async function readAll(
  driver: StorageDriver,
  path: string,
  options: { offset?: number; length?: number; etag?: string } = {},
): Promise<Buffer> {
  const { stream } = await driver.reader(path, options)
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

/** Writes in pieces of a registry's size. */
export async function writeIn(writer: FileWriter, data: Buffer, piece = 32 * 1024): Promise<void> {
  for (let at = 0; at < data.length; at += piece) await writer.write(data.subarray(at, at + piece))
}

export async function writeFile(driver: StorageDriver, path: string, data: Buffer): Promise<void> {
  const writer = await driver.writer(path)
  await writeIn(writer, data, 256 * 1024)
  await writer.commit()
  await writer.close()
}

export async function pagesOf(pages: AsyncIterable<EntriesPage>): Promise<EntriesPage[]> {
  const all: EntriesPage[] = []
  for await (const page of pages) all.push(page)
  return all
}

export async function entriesOf(
  driver: StorageDriver,
  path: string,
  options: { startAfter?: string } = {},
): Promise<FileInfo[]> {
  return (await pagesOf(driver.entries(path, options))).flatMap(page => page.entries)
}

export async function walked(
  driver: StorageDriver,
  path: string,
  options: { startAfter?: string } = {},
): Promise<string[]> {
  const paths: string[] = []
  await driver.walk(path, info => void paths.push(info.path), options)
  return paths
}

/** What `await`ing rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it was expected to fail, and did not')
}
