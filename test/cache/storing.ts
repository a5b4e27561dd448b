/** Files under write whose names change while they are brought to the store. */
import { PreconditionError } from '../../src/driver/errors.js'
import { MiB } from '../../src/util/units.js'
import { contentOf, failing, pattern, scene, until, writeIn } from '../helpers/write-scene.js'

scene('renamed before anything was sent, a file is stored under its new name', async (t, s) => {
  const { file, store } = s.open('/old')
  await writeIn(file, pattern(1000))
  store.renameTo('/new')
  await file.flush()
  t.same([...s.bucket.objects.keys()], ['/new'])
})

scene('renamed after parts were sent, a file is moved where it belongs', async (t, s) => {
  const { file, store } = s.open('/old')
  const data = pattern(3 * MiB)
  await writeIn(file, data)
  await until(() => s.bucket.count('uploadPart') === 2)
  store.renameTo('/new')
  await file.flush()
  t.same([...s.bucket.objects.keys()], ['/new'])
  t.ok(store.content?.equals(data))
  t.match(store.versions, [{ path: '/new', size: 3 * MiB }])
  await file.write(0, pattern(10, 2))
  await file.flush()
  pattern(10, 2).copy(data)
  t.ok(store.content?.equals(data), 'and goes on from there')
})

scene(
  'renamed after its parts have failed, a file begins again under its new name',
  async (t, s) => {
    const { file, store } = s.open('/old')
    const data = pattern(2 * MiB)
    failing(s.bucket, 'uploadPart')
    await writeIn(file, data)
    await until(() => file.uploadsUnderWay.length === 0)
    t.ok(file.isUnsent)
    store.renameTo('/new')
    s.bucket.seed('/old', pattern(10, 9))
    await file.flush()
    t.ok(store.content?.equals(data))
    t.ok(
      s.bucket.objects.get('/old')?.content.equals(pattern(10, 9)),
      'the old name is not touched',
    )
  },
)

scene('what has the old name meanwhile is not replaced', async (t, { bucket, open }) => {
  const { file, store } = open('/old')
  await writeIn(file, pattern(3 * MiB))
  await until(() => bucket.count('uploadPart') === 2)
  store.renameTo('/new')
  const other = pattern(10, 9)
  bucket.seed('/old', other)
  await t.rejects(file.flush(), PreconditionError)
  t.ok(bucket.objects.get('/old')?.content.equals(other))
  t.ok(file.isDirty)
  bucket.objects.delete('/old')
  await file.flush()
  t.ok(store.content?.equals(pattern(3 * MiB)))
})

scene('a move to where the file belongs is tried again', async (t, { bucket, open }) => {
  const { file, store } = open('/old')
  const data = pattern(3 * MiB)
  await writeIn(file, data)
  await until(() => bucket.count('uploadPart') === 2)
  store.renameTo('/new')
  failing(bucket, 'moveHere')
  await t.rejects(file.flush(), { message: 'moveHere failed' })
  t.ok(file.isDirty)
  await file.write(100, pattern(10, 2))
  pattern(10, 2).copy(data, 100)
  t.ok((await contentOf(file)).equals(data))
  await file.flush()
  t.same([...bucket.objects.keys()], ['/new'])
  t.ok(store.content?.equals(data))
})
