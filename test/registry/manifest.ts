/** What manifests of all kinds refer to. */
import t from 'tap'
import { parseManifest, references } from '../../src/registry/manifest.js'

const digest = (character: string) => `sha256:${character.repeat(64)}`

function digests(value: unknown): readonly string[] | undefined {
  const manifest = parseManifest(Buffer.from(JSON.stringify(value)))
  return manifest === undefined ? undefined : references(manifest).map(each => each.digest)
}

void t.test('images, lists, indexes, artifacts and schema 1', t => {
  const config = { digest: digest('c'), size: 1 }
  const layers = [{ digest: digest('a'), size: 2 }, { digest: digest('b') }]
  t.same(digests({ config, layers }), [digest('c'), digest('a'), digest('b')])
  t.same(digests({ manifests: [{ digest: digest('d') }] }), [digest('d')])
  t.same(digests({ manifests: [] }), [], 'an index may be empty')
  t.same(digests({ blobs: layers, subject: config }), [digest('a'), digest('b')])
  t.same(digests({ schemaVersion: 1, fsLayers: [{ blobSum: digest('e') }] }), [digest('e')])
  t.same(
    parseManifest(Buffer.from(JSON.stringify({ config, layers, subject: { digest: digest('f') } })))
      ?.subject,
    { digest: digest('f') },
  )
  t.end()
})

void t.test('what is no manifest is none, and what is no digest is left out', t => {
  for (const value of [null, 1, 'text', [], {}, { layers: 'x' }]) t.equal(digests(value), undefined)
  t.equal(parseManifest(Buffer.from('no JSON')), undefined)
  const odd = [{ digest: 'sha256:zz' }, { digest: '../../x' }, 7, { digest: digest('a'), size: -1 }]
  t.same(digests({ layers: odd }), [digest('a')])
  t.end()
})
