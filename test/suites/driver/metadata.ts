/** Metadata: what a store keeps beside the content. */
import { DriverError, PathNotFoundError, PreconditionError } from '../../../src/driver/errors.js'
import { metadataSize } from '../../../src/driver/metadata.js'
import { bytes, failure } from '../../driver/helpers.js'
import type { Behaviour } from './subject.js'

const OWNER = { 'bosfs-uid': '7', 'bosfs-gid': '8' }
const MiB = 1024 * 1024

export function metadata(behaviour: Behaviour): void {
  behaviour('a file that was put without metadata has none', async (t, driver) => {
    await driver.putContent('/f', bytes(3))
    t.same((await driver.stat('/f')).metadata, {})
  })

  behaviour('what is put with a file comes with its stat', async (t, driver) => {
    await driver.putContent('/f', bytes(3), { metadata: OWNER })
    t.same((await driver.stat('/f')).metadata, OWNER)
    await driver.putContent('/f', bytes(4))
    t.same((await driver.stat('/f')).metadata, {}, 'and goes with the next version')
  })

  behaviour(
    'a read is told of the metadata before it has a byte, and may refuse',
    async (t, driver) => {
      await driver.putContent('/f', bytes(3), { metadata: OWNER })
      const target = Buffer.alloc(3)
      const told: unknown[] = []
      await driver.readInto('/f', target, { accept: metadata => void told.push(metadata) })
      t.same(told, [OWNER])
      t.same(target, bytes(3))
      const untouched = Buffer.alloc(3)
      const refused = driver.readInto('/f', untouched, {
        accept: () => {
          throw new RangeError('not this one')
        },
      })
      t.ok((await failure(refused)) instanceof Error)
      t.same(untouched, Buffer.alloc(3))
    },
  )

  behaviour('metadata is replaced as a whole, and the content stays', async (t, driver) => {
    const { etag } = await driver.putContent('/f', bytes(30), { metadata: OWNER })
    const made = await driver.setMetadata('/f', { other: 'x y' })
    t.match(made, { etag, size: 30 })
    t.same((await driver.stat('/f')).metadata, { other: 'x y' })
    t.same(await driver.getContent('/f'), bytes(30))
    const known = await driver.stat('/f')
    await driver.setMetadata('/f', OWNER, { known, ifMatch: etag })
    t.same((await driver.stat('/f')).metadata, OWNER)
    t.equal(
      (await driver.stat('/f')).contentHeaders?.['content-type'],
      known.contentHeaders?.['content-type'],
    )
  })

  behaviour('metadata of an empty file can be replaced', async (t, driver) => {
    await driver.putContent('/f', bytes(0))
    await driver.setMetadata('/f', OWNER)
    t.same((await driver.stat('/f')).metadata, OWNER)
  })

  behaviour('metadata is set of the version that is meant, or not at all', async (t, driver) => {
    const { etag } = await driver.putContent('/f', bytes(3))
    const known = await driver.stat('/f')
    await driver.putContent('/f', bytes(4))
    const error = await failure(driver.setMetadata('/f', OWNER, { known, ifMatch: etag }))
    t.type(error, PreconditionError)
    t.same((await driver.stat('/f')).metadata, {})
    t.type(await failure(driver.setMetadata('/absent', OWNER)), PathNotFoundError)
  })

  behaviour('metadata beyond the limit is refused', async (t, driver) => {
    const { metadataLimit } = driver.capabilities
    const room = metadataLimit - metadataSize({ a: '' })
    await driver.putContent('/f', bytes(1), { metadata: { a: 'x'.repeat(room) } })
    t.equal((await driver.stat('/f')).metadata?.['a']?.length, room)
    const beyond = driver.putContent('/g', bytes(1), { metadata: { a: 'x'.repeat(room + 1) } })
    t.type(await failure(beyond), DriverError)
  })

  behaviour('a copy and a move keep metadata, or take other', async (t, driver) => {
    await driver.putContent('/f', bytes(3), { metadata: OWNER })
    await driver.copy('/f', '/copy')
    t.same((await driver.stat('/copy')).metadata, OWNER)
    await driver.move('/copy', '/moved')
    t.same((await driver.stat('/moved')).metadata, OWNER)
    await driver.move('/moved', '/other', { metadata: { a: '1' } })
    t.same((await driver.stat('/other')).metadata, { a: '1' })
    t.same(await driver.getContent('/other'), bytes(3))
    await driver.copy('/f', '/third', { metadata: { a: '2' }, ifNoneMatch: '*' })
    t.same((await driver.stat('/third')).metadata, { a: '2' })
  })

  behaviour('a composition ends with the metadata of its completion', async (t, driver) => {
    const part = bytes(5 * MiB, 3)
    for (const [path, begun, completed] of [
      ['/kept', OWNER, undefined],
      ['/same', OWNER, OWNER],
      ['/changed', OWNER, { ...OWNER, 'bosfs-uid': '9', a: 'b' }],
      ['/added', undefined, OWNER],
    ] as const) {
      const composition = await driver.compose(path, begun === undefined ? {} : { metadata: begun })
      const made = await composition.uploadPart(1, [part])
      const { etag } = await composition.complete(
        [made],
        completed === undefined ? {} : { metadata: completed },
      )
      const info = await driver.stat(path)
      t.same(info.metadata, completed ?? begun, path)
      t.equal(info.etag, etag)
    }
  })

  behaviour('a marker has metadata of its own', async (t, driver, { hierarchical }) => {
    await driver.putContent('/d/f', bytes(1))
    if (hierarchical !== true) {
      t.type(await failure(driver.stat('/d', { expect: 'marker' })), PathNotFoundError)
    }
    await driver.makeDirectory('/d', { metadata: OWNER })
    t.match(await driver.stat('/d', { expect: 'marker' }), { isDir: true, metadata: OWNER })
    await driver.makeDirectory('/d', { metadata: { a: '1' } })
    t.same((await driver.stat('/d', { expect: 'marker' })).metadata, { a: '1' })
    t.ok((await driver.stat('/d')).isDir)
    t.same(await driver.getContent('/d/f'), bytes(1))
  })

  behaviour(
    'a listing that is asked for metadata tells it truly or not at all',
    async (t, driver) => {
      await driver.putContent('/d/f', bytes(1), { metadata: OWNER })
      await driver.makeDirectory('/d/sub', { metadata: OWNER })
      for await (const { entries } of driver.entries('/d', { metadata: true })) {
        for (const { metadata: told } of entries) if (told !== undefined) t.same(told, OWNER)
      }
      for await (const { entries } of driver.entries('/d')) {
        for (const { metadata: told } of entries) t.equal(told, undefined)
      }
    },
  )
}
