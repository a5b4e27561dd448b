/** SQLite databases with a rollback journal on the mount: locked, rolled back, and sound afterwards. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountedBucket, startServer, until } from '../helpers/bosmount.js'
import { Background, run, runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

t.setTimeout(300_000)

async function sqlite(database: string, script: string): Promise<string> {
  const { text } = await runOk('sqlite3', ['-batch', '-bail', database], { input: script })
  return text.trim()
}

/** Everything a rollback journal is for: commits, a rollback, a database that is rewritten whole. */
const WORK = `
  PRAGMA journal_mode=DELETE;
  CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB);
  CREATE INDEX names ON t (name);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
    INSERT INTO t SELECT i, 'name ' || (i * 7919 % 3000), zeroblob(i % 500) FROM n;
  BEGIN; UPDATE t SET name = 'lost'; DELETE FROM t WHERE id % 2; ROLLBACK;
  UPDATE t SET name = 'updated ' || id WHERE id % 3 = 0;
  DELETE FROM t WHERE id % 5 = 0;
  VACUUM;
  INSERT INTO t (name, data) VALUES ('last', zeroblob(100000));
  PRAGMA integrity_check;
  SELECT count(*), sum(length(data)), max(name), min(name) FROM t;`

await t.test('a database is on the mount what it is on a local folder', async t => {
  const folder = scratchFolder(t)
  const local = join(folder, 'local')
  mkdirSync(local)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const database = join(mountpoint, 'db')
  const expected = await sqlite(join(local, 'db'), WORK)
  t.match(expected, /^delete\nok\n/)
  t.equal(await sqlite(database, WORK), expected)
  t.notOk(existsSync(`${database}-journal`), 'the journal is gone')
  for (let i = 0; i < 20; i += 1) {
    await sqlite(database, `INSERT INTO t (name) VALUES ('single ${i}');`)
  }
  t.equal(await mount.unmount(), 0)

  const again = await MountedBucket.mount(t, { server, mountpoint })
  const check = "PRAGMA integrity_check; SELECT count(*) FROM t WHERE name LIKE 'single %';"
  t.equal(await sqlite(database, check), 'ok\n20')
  t.equal(await again.unmount(), 0)
})

await t.test('two processes exclude each other, and one that dies is rolled back', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  const database = join(mountpoint, 'db')
  await sqlite(database, 'CREATE TABLE t (name TEXT);')

  const holder = holding(t, { folder, database, name: 'one' })
  await holder.held()
  const refused = await run('sqlite3', ['-bail', database, "INSERT INTO t VALUES ('two');"])
  t.not(refused.code, 0)
  t.match(refused.stderr, /locked/)
  const waiting = sqlite(database, ".timeout 20000\nINSERT INTO t VALUES ('three');")
  holder.letGo()
  await waiting
  t.equal(await sqlite(database, 'SELECT name FROM t ORDER BY 1;'), 'one\nthree')

  const dying = holding(t, { folder, database, name: 'never' })
  await dying.held()
  await dying.process.kill()
  const seen = 'PRAGMA integrity_check; SELECT name FROM t ORDER BY 1;'
  t.equal(await sqlite(database, seen), 'ok\none\nthree')
  t.equal(await mount.unmount(), 0)
})

interface Holder {
  readonly folder: string
  readonly database: string
  readonly name: string
}

/** A process that inserts a row in an exclusive transaction, and waits before it commits. */
function holding(t: Parameters<typeof scratchFolder>[0], { folder, database, name }: Holder) {
  const [held, go] = [join(folder, `${name}-held`), join(folder, `${name}-go`)]
  const script = join(folder, `${name}.sql`)
  // A cache of one page makes it write to the database before the commit.
  writeFileSync(
    script,
    `PRAGMA cache_size=1;\nBEGIN EXCLUSIVE;\nINSERT INTO t VALUES ('${name}');\n` +
      `.shell touch '${held}'; while [ ! -e '${go}' ]; do sleep 0.05; done\nCOMMIT;\n`,
  )
  const process = new Background(t, 'sh', ['-c', 'exec sqlite3 "$0" < "$1"', database, script])
  return {
    process,
    held: () => until(() => existsSync(held), `${name} to hold the lock`, process),
    letGo: () => writeFileSync(go, ''),
  }
}
