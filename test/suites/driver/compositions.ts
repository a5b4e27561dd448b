/** Files put together from parts, and what unfinished ones leave. */
import type { StorageDriver, UploadInfo } from '../../../src/driver/driver.js'
import { MiB } from '../../../src/util/units.js'
import { bytes, failure } from '../../driver/helpers.js'
import { isNotFound, type Behaviour } from './subject.js'

const PART = 5 * MiB

async function uploadsOf(driver: StorageDriver, path: string): Promise<UploadInfo[]> {
  const uploads: UploadInfo[] = []
  for await (const upload of driver.uploads(path)) uploads.push(upload)
  return uploads
}

export function compositions(behaviour: Behaviour): void {
  behaviour('parts uploaded in any order make one file', async (t, driver) => {
    const composition = await driver.compose('/composed')
    const data = [bytes(PART, 1), bytes(PART, 2), bytes(100, 3)]
    const parts = await Promise.all(
      [2, 0, 1].map(i => composition.uploadPart(10 * i + 1, [data[i] ?? Buffer.alloc(0)])),
    )
    await isNotFound(t, driver, '/composed', driver.stat('/composed'))
    const result = await composition.complete(parts)
    t.equal(result.size, 2 * PART + 100)
    t.ok((await driver.getContent('/composed')).equals(Buffer.concat(data)))
    t.match(await driver.stat('/composed'), { size: result.size, etag: result.etag })
    t.same(await uploadsOf(driver, '/'), [])
  })

  behaviour('a part sent again replaces the earlier one', async (t, driver) => {
    const composition = await driver.compose('/again')
    await composition.uploadPart(1, [bytes(100, 1)])
    const part = await composition.uploadPart(1, [bytes(50, 2), bytes(7, 3)])
    t.match(part, { partNumber: 1, size: 57 })
    t.match(await composition.complete([part]), { size: 57 })
    t.same(await driver.getContent('/again'), Buffer.concat([bytes(50, 2), bytes(7, 3)]))
  })

  behaviour('ranges of existing files become parts without moving', async (t, driver) => {
    const old = bytes(3 * PART, 4)
    const { etag } = await driver.putContent('/old file', old)
    const composition = await driver.compose('/old file')
    const source = { path: '/old file', etag }
    const parts = [
      await composition.copyPart(1, { ...source, offset: 0, length: PART }),
      await composition.uploadPart(2, [bytes(PART, 5)]),
      await composition.copyPart(3, { ...source, offset: 2 * PART - 7, length: 1000 }),
    ]
    t.equal(parts[2]?.size, 1000)
    await composition.complete(parts, { ifMatch: etag })
    const expected = [
      old.subarray(0, PART),
      bytes(PART, 5),
      old.subarray(2 * PART - 7, 2 * PART + 993),
    ]
    t.ok((await driver.getContent('/old file')).equals(Buffer.concat(expected)))
  })

  behaviour('a copied part must be the version that was named', async (t, driver) => {
    const { etag } = await driver.putContent('/source', bytes(1000, 1))
    await driver.putContent('/source', bytes(1000, 2))
    const composition = await driver.compose('/target')
    const stale = composition.copyPart(1, { path: '/source', etag, offset: 0, length: 10 })
    t.match(await failure(stale), { code: 'PRECONDITION' })
    const range = { path: '/none', etag, offset: 0, length: 10 }
    t.match(await failure(composition.copyPart(1, range)), { code: 'PATH_NOT_FOUND' })
    await composition.abort()
  })

  behaviour('a completion obeys its condition', async (t, driver) => {
    const { etag } = await driver.putContent('/guarded', bytes(10, 1))
    const composition = await driver.compose('/guarded')
    const part = await composition.uploadPart(1, [bytes(20, 2)])
    const create = composition.complete([part], { ifNoneMatch: '*' })
    t.match(await failure(create), { code: 'PRECONDITION' })
    t.same(await driver.getContent('/guarded'), bytes(10, 1))
    await composition.complete([part], { ifMatch: etag })
    t.same(await driver.getContent('/guarded'), bytes(20, 2))
  })

  behaviour(
    'an unfinished composition shows among the uploads only',
    async (t, driver, subject) => {
      const composition = await driver.compose('/dir/unfinished')
      const other = await driver.compose('/dir-other')
      await composition.uploadPart(1, [bytes(10)])
      // A real parent directory is needed, and is seen.
      const hasParent = subject.hierarchical === true && subject.defersParents !== true
      t.same(await driver.list('/'), hasParent ? ['/dir'] : [])
      const [upload, ...more] = await uploadsOf(driver, '/dir')
      t.same(more, [])
      t.match(upload, { path: '/dir/unfinished', uploadId: composition.uploadId })
      t.ok(upload?.initiated instanceof Date)
      t.equal((await uploadsOf(driver, '/')).length, 2)
      t.equal((await uploadsOf(driver, '/dir/unfinished')).length, 1)
      t.same(await uploadsOf(driver, '/dir/unf'), [])
      if (upload === undefined) return
      await driver.abortUpload(upload)
      await driver.abortUpload(upload)
      t.same(await uploadsOf(driver, '/dir'), [])
      t.match(await failure(composition.uploadPart(2, [bytes(10)])), { code: 'NOT_FOUND' })
      await composition.abort()
      await other.abort()
      t.same(await uploadsOf(driver, '/'), [])
    },
  )

  behaviour('an upload with a part is spared by who aborts only empty ones', async (t, driver) => {
    const filled = await driver.compose('/filled')
    await filled.uploadPart(1, [bytes(10)])
    await driver.compose('/empty')
    const onlyEmpty = true
    for (const upload of await uploadsOf(driver, '/')) {
      await driver.abortUpload(upload, { onlyEmpty })
      await driver.abortUpload({ ...upload, uploadId: `${upload.uploadId}0` }, { onlyEmpty })
    }
    const [left, ...others] = await uploadsOf(driver, '/')
    t.same(others, [])
    t.equal(left?.path, '/filled')
    await filled.abort()
  })

  behaviour('an upload left by a closed writer can be found and aborted', async (t, driver) => {
    const writer = await driver.writer('/left')
    await writer.write(bytes(100))
    await writer.close()
    const uploads = await uploadsOf(driver, '/')
    t.equal(uploads.length, 1)
    t.equal(uploads[0]?.path, '/left')
    for (const upload of uploads) await driver.abortUpload(upload)
    t.same(await uploadsOf(driver, '/'), [])
    await isNotFound(t, driver, '/left', driver.writer('/left', { append: true }))
  })

  behaviour('a composition that has ended takes no parts', async (t, driver) => {
    const composition = await driver.compose('/ended')
    const part = await composition.uploadPart(1, [bytes(10)])
    await composition.complete([part])
    t.match(await failure(composition.uploadPart(2, [bytes(10)])), { code: 'CLOSED' })
    t.match(await failure(composition.complete([part])), { code: 'CLOSED' })
    await composition.abort()
    t.same(await driver.getContent('/ended'), bytes(10), 'and aborting it takes nothing back')
  })

  behaviour('wrong parts are refused and publish nothing', async (t, driver) => {
    const composition = await driver.compose('/wrong')
    const part = await composition.uploadPart(1, [bytes(10)])
    const forged = { ...part, etag: 'ffffffffffffffffffffffffffffffff' }
    t.match(await failure(composition.complete([forged])), { code: 'INTEGRITY' })
    t.match(await failure(composition.complete([{ ...part, partNumber: 2 }])), {
      code: 'INTEGRITY',
    })
    t.match(await failure(composition.complete([])), { code: 'FAILED' })
    const tooHigh = driver.partLimits.maxParts + 1
    t.match(await failure(composition.uploadPart(tooHigh, [bytes(1)])), { code: 'FAILED' })
    t.match(await failure(composition.uploadPart(0, [bytes(1)])), { code: 'FAILED' })
    const small = await composition.uploadPart(2, [bytes(10)])
    t.match(await failure(composition.complete([part, small])), { code: 'FAILED' })
    await isNotFound(t, driver, '/wrong', driver.stat('/wrong'))
    await composition.abort()
  })

  behaviour('a closed driver says so', async (t, _driver, subject) => {
    const driver = await subject.reopen()
    if (driver === subject.driver) return
    await driver.putContent('/before', bytes(1))
    await driver.close()
    await driver.close()
    t.match(await failure(driver.stat('/before')), { code: 'CLOSED' })
  })
}
