import { read, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { DataFiles } from '../../src/server/data-files.js'
import { seededBytes, temporaryDirectory } from '../helpers/bos-harness.js'

const readAt = promisify(read)

async function store(files: DataFiles, chunks: readonly Uint8Array[]): Promise<string> {
  const writer = await files.create()
  await writer.write(chunks)
  await writer.close()
  return writer.id
}

async function content(files: DataFiles, id: string, size: number): Promise<Buffer> {
  const target = Buffer.alloc(size)
  await files.withFile(id, async fd => await readAt(fd, target, 0, size, 0))
  return target
}

function names(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true })
    .map(String)
    .filter(name => name.includes('/'))
}

void t.test('what was written is read back', async t => {
  const files = new DataFiles({ directory: temporaryDirectory(t), sync: true })
  t.teardown(async () => await files.close())
  const [one, two] = [seededBytes(10), seededBytes(3_000)]
  const id = await store(files, [one, two])
  t.match(id, /^[0-9a-f]{32}$/)
  t.ok((await content(files, id, 3_010)).equals(Buffer.concat([one, two])))
})

void t.test('a pinned file is removed only when the last pin goes', async t => {
  const directory = temporaryDirectory(t)
  const files = new DataFiles({ directory, sync: false })
  t.teardown(async () => await files.close())
  const id = await store(files, [seededBytes(10)])
  files.pin([id, id])
  await files.remove([id])
  await files.unpin([id])
  t.equal(names(directory).length, 1)
  t.equal((await content(files, id, 10)).length, 10)
  await files.unpin([id])
  t.strictSame(names(directory), [])
  await t.rejects(content(files, id, 10), { code: 'ENOENT' })
})

void t.test('a discarded file is gone, and removing what is gone is no error', async t => {
  const directory = temporaryDirectory(t)
  const files = new DataFiles({ directory, sync: false })
  const writer = await files.create()
  await writer.write([seededBytes(10)])
  await writer.discard()
  t.strictSame(names(directory), [])
  await t.resolves(files.remove([writer.id]))
})

void t.test('a sweep removes all that is not alive', async t => {
  const directory = temporaryDirectory(t)
  const files = new DataFiles({ directory, sync: false })
  const id = await store(files, [seededBytes(10)])
  await store(files, [seededBytes(11)])
  writeFileSync(join(directory, '00', 'junk'), '')
  t.equal(await files.sweep(other => other === id), 2)
  t.strictSame(names(directory), [join(id.slice(0, 2), id)])
})

void t.test('only so many descriptors stay open', async t => {
  const files = new DataFiles({ directory: temporaryDirectory(t), sync: false })
  t.teardown(async () => await files.close())
  const before = readdirSync('/proc/self/fd').length
  for (let index = 0; index < 200; index += 1) {
    const id = await store(files, [seededBytes(1)])
    await content(files, id, 1)
  }
  t.ok(readdirSync('/proc/self/fd').length - before <= 130)
})
