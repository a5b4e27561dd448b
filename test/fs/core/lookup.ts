/** What it costs to look for names, in directories of all sizes, from the first look of a mount on. */
import { childPath } from '../../../src/driver/path.js'
import type { Bytes } from '../../../src/util/units.js'
import { scene } from '../../helpers/core-scene.js'
import type { Scene } from '../../helpers/core-scene.js'

const clock = { now: 0 }
const MISSING = 100
const BUDGET = 3

async function fill(
  { bucket }: Scene,
  directory: string,
  { count, each = 1 }: { readonly count: number; readonly each?: Bytes },
): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    await bucket.putContent(childPath(directory, `f${i}`), Buffer.alloc(each))
  }
}

interface Place {
  readonly title: string
  readonly directory: string
  readonly fill: (scene: Scene) => Promise<void>
}

const PLACES: readonly Place[] = [
  { title: 'an empty directory', directory: '/d', fill: s => s.bucket.makeDirectory('/d') },
  { title: 'an empty bucket', directory: '/', fill: async () => undefined },
  {
    title: 'a directory of 300 entries',
    directory: '/d',
    fill: s => fill(s, '/d', { count: 300 }),
  },
  {
    title: 'a directory of 5,000 entries',
    directory: '/d',
    fill: s => fill(s, '/d', { count: 5000 }),
  },
  {
    title: 'the root of a bucket of 5,000',
    directory: '/',
    fill: s => fill(s, '/', { count: 5000 }),
  },
  {
    title: 'the root of a bucket of few directories with much in them',
    directory: '/',
    fill: async s => {
      for (const name of ['a', 'n', 'z']) await fill(s, `/${name}`, { count: 1700 })
    },
  },
  {
    title: 'a directory of which a page has shown the beginning',
    directory: '/d',
    fill: async s => {
      await fill(s, '/c', { count: 800 })
      await fill(s, '/d', { count: 5000 })
    },
  },
  {
    title: 'a small directory at the end of a large bucket',
    directory: '/z',
    fill: async s => {
      await fill(s, '/a', { count: 5000 })
      await fill(s, '/z', { count: 3 })
    },
  },
]

for (const attributes of ['derived', 'stored'] as const) {
  for (const { title, directory, fill: make } of PLACES) {
    for (const stem of attributes === 'stored' ? ['missing-'] : ['missing-', 'b', 'zz']) {
      scene(
        `a hundred missing names (${stem}…) in ${title} cost few requests, ${attributes}`,
        async s => {
          const { t, os, watch } = s
          await make(s)
          let found = 0
          for (let i = 1; i <= MISSING; i += 1) {
            found += Number(await os.exists(childPath(directory, `${stem}${i}`)))
          }
          t.equal(found, 0)
          const made = watch.requests.map(({ method, path }) => `${method} ${path}`)
          // What the directory's own attributes are.
          const extra = attributes === 'stored' && directory !== '/' ? 1 : 0
          t.ok(made.length <= BUDGET + extra, made.slice(0, 10).join(', '))
        },
        { config: { attributes, metadataTtl: 60_000 } },
      )
    }
  }
}

for (const name of ['n', 'name-1']) {
  scene(`an empty directory ${name} that no page has shown is found`, async s => {
    const { t, os, bucket } = s
    await fill(s, '/a', { count: 1500 })
    await bucket.makeDirectory(`/${name}`)
    t.ok(await os.exists(`/${name}`))
    t.same(await os.readdir(`/${name}`), [])
    t.notOk(await os.exists('/name-2'))
  })

  scene(`a file ${name} that no page has shown is found`, async s => {
    const { t, os, bucket } = s
    await fill(s, '/a', { count: 1500 })
    await bucket.putContent(`/${name}`, Buffer.alloc(7))
    t.equal((await os.stat(`/${name}`)).size, 7)
    t.notOk(await os.exists('/name-2'))
  })

  scene(`a directory ${name} that no page has shown is found by what is in it`, async s => {
    const { t, os, watch } = s
    await fill(s, '/a', { count: 1500 })
    await fill(s, `/${name}`, { count: 1500 })
    t.ok(await os.exists(`/${name}/f1`))
    t.equal(watch.count(), 2)
    t.notOk(await os.exists('/name-2'))
  })
}

scene(
  'what another host makes in a stretch that was listed is seen when that is not believed any more',
  async s => {
    const { t, os, bucket } = s
    await fill(s, '/', { count: 1500 })
    t.notOk(await os.exists('/missing-1'))
    t.notOk(await os.exists('/missing-2'))
    await bucket.putContent('/missing-1', Buffer.alloc(1))
    await bucket.putContent('/missing-2/f', Buffer.alloc(1))
    clock.now += 1001
    t.ok(await os.exists('/missing-1'))
    t.ok(await os.exists('/missing-2/f'))
  },
  { monotonic: () => clock.now, config: { metadataTtl: 1000 } },
)

scene('what is made here in a stretch that was listed is there at once', async s => {
  const { t, os } = s
  await fill(s, '/', { count: 1500 })
  t.notOk(await os.exists('/missing-1'))
  await os.writeFile('/missing-2', Buffer.alloc(3))
  await os.mkdir('/missing-3')
  t.equal((await os.stat('/missing-2')).size, 3)
  t.ok(await os.exists('/missing-3'))
  await os.unlink('/missing-2')
  t.notOk(await os.exists('/missing-2'))
})
