/** Versions with two names. */
import t from 'tap'
import { Aliases } from '../../src/journal/aliases.js'

const alias = { local: 'ours', remote: 'theirs', modTime: 5000 }
const info = { path: '/a/f', size: 1, isDir: false, etag: 'theirs', modTime: new Date(9000) }

void t.test('callers are told our name as long as the store has its own', t => {
  const aliases = new Aliases(10)
  aliases.set('/a/f', alias)
  t.match(aliases.info(info), { etag: 'ours', modTime: new Date(5000) })
  t.equal(aliases.remote('/a/f', 'ours'), 'theirs')
  t.equal(aliases.local('/a/f', 'theirs'), 'ours')
  t.same(aliases.info({ ...info, etag: 'another' }), { ...info, etag: 'another' })
  t.equal(aliases.remote('/a/f', 'another'), 'another')
  t.equal(aliases.remote('/b', 'ours'), 'ours')
  aliases.own('/a/f', 'through')
  t.same(aliases.info({ ...info, etag: 'through' }), { ...info, etag: 'through' })
  t.end()
})

void t.test('they go where files and directories go, and no further', t => {
  const aliases = new Aliases(10)
  aliases.set('/a/f', alias)
  aliases.set('/ab', alias)
  aliases.set('/b/old', alias)
  aliases.moveTree('/a', '/b')
  t.equal(aliases.get('/a/f'), undefined)
  t.equal(aliases.get('/b/old'), undefined)
  t.same(aliases.get('/b/f'), alias)
  t.same(aliases.get('/ab'), alias)
  aliases.move('/b/f', '/c')
  t.same(aliases.get('/c'), alias)
  aliases.move('/nothing', '/c')
  t.equal(aliases.get('/c'), undefined)
  t.end()
})

void t.test('of too many the oldest go', t => {
  const aliases = new Aliases(2)
  for (const path of ['/1', '/2', '/1', '/3']) aliases.set(path, alias)
  t.equal(aliases.size, 2)
  t.equal(aliases.get('/2'), undefined)
  t.end()
})
