import t from 'tap'
import { isContentAddressed } from '../../../src/fs/core/content-address.js'

const HEX = '0123456789abcdef'.repeat(4)

void t.test('the blobs of a registry are known by their paths', t => {
  t.ok(isContentAddressed(`/docker/registry/v2/blobs/sha256/01/${HEX}/data`))
  t.ok(isContentAddressed(`/blobs/sha512/01/${HEX}${HEX}/data`))
  for (const path of [
    `/docker/registry/v2/blobs/sha256/02/${HEX}/data`,
    `/docker/registry/v2/blobs/sha256/01/${HEX}/link`,
    `/docker/registry/v2/blobs/sha256/01/${HEX.slice(2)}/data`,
    `/docker/registry/v2/blobs/sha256/01/${HEX}/data/more`,
    '/data',
  ]) {
    t.notOk(isContentAddressed(path), path)
  }
  t.end()
})

void t.test(
  'the links that say what their paths say are known too, but not those that a push moves',
  t => {
    const repository = '/docker/registry/v2/repositories/team/app'
    t.ok(isContentAddressed(`${repository}/_layers/sha256/${HEX}/link`))
    t.ok(isContentAddressed(`${repository}/_manifests/revisions/sha256/${HEX}/link`))
    t.ok(isContentAddressed(`${repository}/_manifests/tags/v1/index/sha256/${HEX}/link`))
    for (const path of [
      `${repository}/_manifests/tags/v1/current/link`,
      `${repository}/_manifests/tags/index/sha256/${HEX}/link`,
      `${repository}/_layers/sha256/${HEX.slice(1)}/link`,
      `${repository}/_layers/sha256/${HEX}/data`,
      `${repository}/_uploads/sha256/${HEX}/link`,
    ]) {
      t.notOk(isContentAddressed(path), path)
    }
    t.end()
  },
)
