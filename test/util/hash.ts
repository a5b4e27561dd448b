import { createHash } from 'node:crypto'
import t from 'tap'
import { hash53 } from '../../src/util/hash.js'

/** Paths as a registry makes them: long, alike, and different in a few characters only. */
function* registryPaths(count: number): Generator<string> {
  for (let i = 0; i < count; i += 2) {
    const digest = createHash('sha256').update(String(i)).digest('hex')
    yield `/docker/registry/v2/blobs/sha256/${digest.slice(0, 2)}/${digest}/data`
    yield `/docker/registry/v2/repositories/team-${i % 97}/image-${i % 1009}/_layers/${i}/link`
  }
}

void t.test('200,000 paths of a registry have 200,000 numbers', t => {
  const numbers = new Set<number>()
  let paths = 0
  for (const path of registryPaths(200_000)) {
    const number = hash53(path)
    if (!Number.isSafeInteger(number) || number < 0) t.fail(`${number} for ${path}`)
    numbers.add(number)
    paths += 1
  }
  t.equal(paths, 200_000)
  t.equal(numbers.size, paths)
  t.end()
})

void t.test('paths that differ by one number, and by order, have different numbers', t => {
  const numbers = new Set<number>()
  for (let i = 0; i < 100_000; i += 1) numbers.add(hash53(`/f${i}`))
  t.equal(numbers.size, 100_000)
  t.not(hash53('/a/b'), hash53('/b/a'))
  t.equal(hash53('/a/b'), hash53('/a/b'))
  t.end()
})
