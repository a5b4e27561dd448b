/** Files that lose their names while they are open: unlinked, or replaced by a rename. */
import { MiB } from '../../../src/util/units.js'
import { isUnlinked } from '../../../src/driver/path.js'
import { O_CREAT, O_RDONLY, O_RDWR, O_TRUNC } from '../../helpers/core-os.js'
import { fails, keys, scene, text } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'

const BIG = Buffer.from(Array.from({ length: 3 * MiB + 100 }, (_, i) => (i * 7919) % 251))

/** Requests that touch where unlinked files live. */
function homeRequests({ watch }: Scene): string[] {
  return watch.requests.filter(({ path }) => isUnlinked(path)).map(({ method }) => method)
}

scene('who has a file open reads on after it was unlinked', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', BIG)
  const file = await os.open('/f', O_RDONLY)
  t.ok((await file.read(0, 1000)).equals(BIG.subarray(0, 1000)))
  await os.unlink('/f')
  t.notOk(await os.exists('/f'))
  t.same(await os.readdir('/'), [])
  t.same(await keys(bucket), [])
  const { size, nlink } = await file.stat()
  t.equal(size, BIG.length)
  t.equal(nlink, 0)
  t.ok((await file.read(0, BIG.length)).equals(BIG))
  await os.writeFile('/f', text('another'))
  t.ok((await file.read(2 * MiB, MiB)).equals(BIG.subarray(2 * MiB, 3 * MiB)))
  await file.close()
  t.equal(String(await os.readFile('/f')), 'another')
})

scene('who has a file open reads on after another took its name', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/old', BIG)
  await bucket.putContent('/new', text('new'))
  const file = await os.open('/old', O_RDONLY)
  await os.rename('/new', '/old')
  t.equal(String(await os.readFile('/old')), 'new')
  t.ok((await file.read(0, BIG.length)).equals(BIG))
  t.equal((await file.stat()).size, BIG.length)
  t.same(await keys(bucket), ['/old'])
  await file.close()
  t.equal(String(await bucket.getContent('/old')), 'new')
})

scene('so he does when what took the name is not stored yet', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/old', BIG)
  const file = await os.open('/old', O_RDONLY)
  const other = await os.open('/new', O_RDWR | O_CREAT)
  await other.write(0, text('new'))
  await os.rename('/new', '/old')
  await other.close()
  t.ok((await file.read(0, BIG.length)).equals(BIG))
  await file.close()
  t.equal(String(await bucket.getContent('/old')), 'new')
})

scene('a file that was never stored costs no request when it goes while open', async s => {
  const { t, os, watch } = s
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, text('content'))
  watch.requests.length = 0
  await os.unlink('/f')
  t.equal(String(await file.read(0, 100)), 'content')
  await file.write(7, text(', more'))
  await file.fsync()
  t.equal(String(await file.read(0, 100)), 'content, more')
  await file.close()
  t.equal(watch.count(), 0)
  t.notOk(await os.exists('/f'))
})

scene('what is written to a file without a name is seen by its holders alone', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', BIG)
  const file = await os.open('/f', O_RDWR)
  const reader = await os.open('/f', O_RDONLY)
  await os.unlink('/f')
  await file.write(MiB, text('written'))
  const expected = Buffer.from(BIG)
  expected.write('written', MiB)
  t.ok((await reader.read(0, BIG.length)).equals(expected))
  await file.close()
  t.ok((await reader.read(0, BIG.length)).equals(expected), 'also after the writer has closed')
  await reader.truncate(10).catch(() => undefined)
  await reader.close()
  t.same(await keys(bucket), [])
})

scene(
  'a file without a name may be bigger than memory',
  async s => {
    const { t, os, bucket } = s
    const file = await os.open('/f', O_RDWR | O_CREAT)
    await os.unlink('/f')
    for (let at = 0; at < 12; at += 1) await file.write(at * MiB, Buffer.alloc(MiB, at))
    for (let at = 0; at < 12; at += 1) {
      t.ok((await file.read(at * MiB, MiB)).equals(Buffer.alloc(MiB, at)), `MiB ${at}`)
    }
    t.same(await keys(bucket), [])
    t.ok(homeRequests(s).length > 0)
    await file.close()
  },
  { writeMemory: 3 * MiB },
)

scene('parts that had left before the name went can be read', async s => {
  const { t, os, bucket } = s
  const file = await os.open('/f', O_RDWR | O_CREAT)
  await file.write(0, BIG)
  await os.unlink('/f')
  t.same(await keys(bucket), [])
  t.ok((await file.read(0, BIG.length)).equals(BIG))
  await file.close()
})

scene('a file that was emptied needs nothing carried', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', BIG)
  const file = await os.open('/f', O_RDWR | O_TRUNC)
  await os.unlink('/f')
  t.equal((await file.stat()).size, 0)
  t.same(homeRequests(s), [])
  await file.close()
  t.same(await keys(bucket), [])
})

scene('nothing is carried for a file that nobody has open', async s => {
  const { t, os, bucket, watch } = s
  await bucket.putContent('/a', text('a'))
  await bucket.putContent('/b', text('b'))
  await bucket.putContent('/c', text('c'))
  await os.readdir('/')
  watch.requests.length = 0
  await os.unlink('/a')
  t.same(watch.requests, [{ method: 'deleteFile', path: '/a' }])
  watch.requests.length = 0
  await os.rename('/b', '/c')
  t.same(
    watch.requests.map(({ method }) => method),
    ['move'],
  )
})

scene('what another host has put there is not shown to who has the old file open', async s => {
  const { t, os, bucket } = s
  await bucket.putContent('/f', BIG)
  const file = await os.open('/f', O_RDONLY)
  const other = Buffer.alloc(BIG.length, 'x')
  await bucket.putContent('/f', other)
  await os.unlink('/f')
  t.same(await keys(bucket), [], 'the name goes whatever it names')
  await fails(t, 'ESTALE', file.read(0, 100))
  await file.close()
})

for (const replaces of [false, true]) {
  const what = replaces ? 'replacing' : 'unlinking'
  const title = `${what} an open file can fail at any request without loss`
  const everyFault = async (s: Scene): Promise<void> => {
    for (const when of ['before', 'after'] as const) {
      for (let failing = 1; await changeWithFault(s, { replaces, when, failing }); failing += 1);
    }
  }
  scene(title, everyFault, { config: { metadataTtl: 0 } })
}

/** @returns whether there was such a request */
async function changeWithFault(
  { t, os, bucket, watch }: Scene,
  fault: { replaces: boolean; when: 'before' | 'after'; failing: number },
): Promise<boolean> {
  const { replaces, when, failing } = fault
  const at = `${when} request ${failing}`
  const directory = `/${when}-${failing}`
  const [name, other] = [`${directory}/f`, `${directory}/new`]
  const content = async (): Promise<number | undefined> =>
    (await bucket.getContent(name).catch(() => undefined))?.length
  await bucket.putContent(name, BIG)
  await bucket.putContent(other, text('new'))
  const file = await os.open(name, O_RDONLY)
  t.ok(await os.exists(other))
  const change = (): Promise<void> => (replaces ? os.rename(other, name) : os.unlink(name))
  let count = 0
  watch[when] = () => {
    count += 1
    if (count === failing) throw new Error('fault')
  }
  const failure = await change().catch((error: unknown) => error)
  watch[when] = () => undefined
  const seen = await file.read(0, BIG.length).catch(() => undefined)
  if (seen === undefined) t.ok(failure instanceof Error, `${at}: lost, and reported`)
  else t.ok(seen.equals(BIG), `${at}: the holder reads on`)
  if (failure === undefined) t.equal(await content(), replaces ? 3 : undefined, at)
  else if (replaces) t.ok(await content(), `${at}: the name is never free`)
  await change().catch(() => undefined)
  t.equal(await content(), replaces ? 3 : undefined, `${at}: done in the end`)
  await file.close()
  return count >= failing
}
