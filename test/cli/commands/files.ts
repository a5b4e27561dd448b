/** The commands that work on a bucket without a mount, as programs, against an embedded server. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { StorageDriver } from '../../../src/driver/driver.js'
import { MiB } from '../../../src/util/units.js'
import { accessesOf } from '../../helpers/access-log.js'
import { bosmount, BUCKET, environment, PROGRAM, startServer } from '../../helpers/bosmount.js'
import { CliSession } from '../../helpers/cli-session.js'
import { openBucket, unfinishedUploads } from '../../helpers/bucket.js'
import { seededBytes } from '../../helpers/oci-image.js'
import { Background, run, type Finished, type RunOptions } from '../../helpers/processes.js'
import { scratchFolder } from '../../helpers/scratch.js'

const folder = scratchFolder(t)
const server = await startServer(t, folder)
const env = environment({ BOS_ENDPOINT: server.endpoint, REGISTRY_STORAGE_BOS_REGION: 'bj' })

const session = new CliSession(t, env)

/** With input as a process of its own, else in one process with the others. */
async function cli(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  if (options.input === undefined) return await session.run(args)
  return await bosmount(args, { env, ...options })
}

/** Runs one that must succeed, and gives what it prints. */
async function prints(t: Test, ...args: string[]): Promise<string> {
  const finished = await cli(args)
  t.equal(finished.code, 0, `${args.join(' ')}: ${finished.stderr}`)
  t.equal(finished.stderr, '', args.join(' '))
  return finished.text
}

async function fails(t: Test, args: readonly string[], says: RegExp, code = 1): Promise<void> {
  const finished = await cli(args)
  t.equal(finished.code, code, args.join(' '))
  t.match(finished.stderr, says, args.join(' '))
  t.equal(finished.text, '', `${args.join(' ')}: nothing on stdout`)
  t.notMatch(finished.stderr, /\n\s+at .*:\d+:\d+/, 'no stack')
}

async function fill(driver: StorageDriver, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await driver.putContent(path, Buffer.from(content))
  }
}

async function allFiles(driver: StorageDriver, root: string): Promise<string[]> {
  const found: string[] = []
  await driver.walk(root, ({ path, isDir }) => {
    if (!isDir) found.push(path)
  })
  return found
}

const driver = await openBucket(t, server)
await fill(driver, {
  '/ls/a.txt': 'aaa',
  '/ls/b.log': 'b',
  '/ls/.hidden': '',
  '/ls/dir/c.txt': 'cc',
  '/ls/dir/deep/d.txt': 'dddd',
  '/ls/with\nnewline': 'x',
})

void t.test('ls lists', async t => {
  const names = '.hidden\na.txt\nb.log\ndir/\nwith\\nnewline\n'
  t.equal(await prints(t, 'ls', `${BUCKET}/ls`), names)
  t.equal(await prints(t, 'ls', `bos://${BUCKET}/ls/`), names)
  t.equal(await prints(t, 'ls', '/ls', '--bucket', BUCKET), names)
  t.equal(await prints(t, 'ls', '/', '--bucket', BUCKET, '--rootdirectory', 'ls'), names)
  t.equal(await prints(t, 'ls', '--bucket', BUCKET, '--rootdirectory', '/ls/'), names)
  t.equal(
    await prints(t, 'ls', '-r', `${BUCKET}/ls/dir`),
    `${BUCKET}/ls/dir/c.txt\n${BUCKET}/ls/dir/deep/\n${BUCKET}/ls/dir/deep/d.txt\n`,
  )
  t.equal(
    await prints(t, 'ls', '-lh', `${BUCKET}/ls`),
    await prints(t, 'ls', '-lH', `${BUCKET}/ls`),
  )
  t.equal(await prints(t, 'ls', '-d', `${BUCKET}/ls/dir`), `${BUCKET}/ls/dir/\n`)
  t.match(
    await prints(t, 'ls', '-l', `${BUCKET}/ls/dir`),
    /^ +2 {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}c\.txt\n +- {2}- +deep\/\n$/,
  )
  t.match(await prints(t, 'ls', '-lH', `${BUCKET}/ls/a.txt`), /3 bytes .*tests\/ls\/a\.txt\n/)
  const rows = (await prints(t, 'ls', '--json', `${BUCKET}/ls/dir`)).trimEnd().split('\n')
  t.match(
    rows.map(row => JSON.parse(row) as unknown),
    [
      { path: '/ls/dir/c.txt', type: 'file', size: 2, etag: /./, modTime: /^\d{4}-.*Z$/ },
      { path: '/ls/dir/deep', type: 'directory' },
    ],
  )
})

void t.test('patterns are those of a shell', async t => {
  const ls = (pattern: string) => prints(t, 'ls', '-d', `${BUCKET}/ls/${pattern}`)
  t.equal(await ls('*.txt'), `${BUCKET}/ls/a.txt\n`)
  t.equal(await ls('?.[lt]*'), `${BUCKET}/ls/a.txt\n${BUCKET}/ls/b.log\n`)
  t.equal(await ls('.h*'), `${BUCKET}/ls/.hidden\n`)
  t.equal(
    await ls('**/*.txt'),
    ['a.txt', 'dir/c.txt', 'dir/deep/d.txt'].map(name => `${BUCKET}/ls/${name}\n`).join(''),
  )
  t.equal(await prints(t, 'cat', `${BUCKET}/ls/*/c.txt`), 'cc')
  await fails(t, ['ls', `${BUCKET}/ls/*.nothing`], /\*\.nothing: nothing matches/)
  await fails(t, ['ls', '--literal', `${BUCKET}/ls/*`], /no such file or directory/)
})

void t.test('what is not there is told for each path, and the others are done', async t => {
  const both = await cli(['ls', `${BUCKET}/no`, `${BUCKET}/ls/a.txt`, `${BUCKET}/nothing`])
  t.equal(both.code, 1)
  t.equal(both.text, `${BUCKET}/ls/a.txt\n`)
  t.match(both.stderr, /tests\/no: no such file or directory\ntests\/nothing: no such/)
  await fails(t, ['ls', `${BUCKET}/ls/a.txt/`], /not a directory/)
  await fails(t, ['ls', 'one/x', 'two/y'], /all paths must be in one bucket/, 2)
  await fails(t, ['ls', `${BUCKET}/a/../b`], /a path has no '\.\.'/, 2)
  await fails(t, ['ls', '/x'], /bucket is missing/, 2)
  await fails(t, ['ls', 'no-such-bucket'], /no-such-bucket does not exist/)
})

void t.test('stat tells size, time and version', async t => {
  t.match(
    await prints(t, 'stat', `${BUCKET}/ls/a.txt`),
    /^path: +tests\/ls\/a\.txt\ntype: +file\nsize: +3\nmodified: +\d.*\netag: +\w+\n$/,
  )
  const row = JSON.parse(await prints(t, 'stat', '--json', `${BUCKET}/ls`)) as unknown
  t.same(row, { path: '/ls', type: 'directory' })
  await fails(t, ['stat', `${BUCKET}/no`], /no such file/)
})

void t.test('put and cat carry any content, from files and through pipes', async t => {
  const big = seededBytes('big', 11 * MiB + 5)
  const file = join(folder, 'big.bin')
  writeFileSync(file, big)
  t.equal(await prints(t, 'put', file, `${BUCKET}/put/`), '')
  const back = await cli(['cat', `${BUCKET}/put/big.bin`])
  t.ok(back.stdout.equals(big), 'in parts')
  for (const input of [Buffer.alloc(0), big]) {
    const put = await cli(['put', '-', `${BUCKET}/put/piped`], { input })
    t.equal(put.code, 0, put.stderr)
    t.ok((await cli(['cat', `${BUCKET}/put/piped`])).stdout.equals(input), `${input.length} bytes`)
  }
  const range = ['cat', `${BUCKET}/put/big.bin`, '--offset', '1m', '--length', '77']
  t.ok((await cli(range)).stdout.equals(big.subarray(MiB, MiB + 77)), 'a range')
  t.equal(
    (await cli(['cat', `${BUCKET}/ls/a.txt`, `${BUCKET}/ls/b.log`])).text,
    'aaab',
    'one behind the other',
  )
  await fails(t, ['cat', `${BUCKET}/ls`], /is a directory/)
  await fails(
    t,
    ['put', '-n', file, `${BUCKET}/put/big.bin`],
    /^bosmount: tests\/put\/big\.bin: exists already$/m,
  )
  await fails(t, ['put', '-', `${BUCKET}/put/`], /'-' has no name/, 2)
  await fails(t, ['put', join(folder, 'absent'), `${BUCKET}/x`], /ENOENT/)
  t.same(await unfinishedUploads(t, server), [])
})

void t.test('put -r stores a folder', async t => {
  const source = join(folder, 'tree')
  mkdirSync(join(source, 'a', 'b'), { recursive: true })
  writeFileSync(join(source, 'one'), '1')
  writeFileSync(join(source, 'a', 'b', 'two'), '2')
  await fails(t, ['put', source, `${BUCKET}/tree`], /is a directory \(add -r\)/, 2)
  await prints(t, 'put', '-r', source, `${BUCKET}/tree`)
  t.same(await allFiles(driver, '/tree'), ['/tree/a/b/two', '/tree/one'])
  await prints(t, 'put', '-r', source, `${BUCKET}/tree`)
  t.match(await allFiles(driver, '/tree'), ['/tree/a/b/two', '/tree/one', '/tree/tree/a/b/two'])
})

void t.test('cp and mv work inside the bucket, as those of a shell do', async t => {
  await fill(driver, { '/t/one': '1', '/t/two': '2', '/t/d/three': '3' })
  await driver.makeDirectory('/t/d/empty')
  const at = (path: string) => `${BUCKET}/t/${path}`
  await prints(t, 'cp', at('one'), at('copy'))
  await prints(t, 'cp', at('one'), at('two'), at('d'))
  await fails(t, ['cp', at('d'), at('e')], /^bosmount: tests\/t\/d: is a directory \(add -r\)/)
  await prints(t, 'cp', '-r', at('d'), at('e'))
  t.same(await allFiles(driver, '/t/e'), ['/t/e/one', '/t/e/three', '/t/e/two'])
  t.ok((await driver.stat('/t/e/empty')).isDir, 'empty directories come along')
  await prints(t, 'cp', '-r', at('d'), at('e'))
  t.same(await allFiles(driver, '/t/e/d'), ['/t/e/d/one', '/t/e/d/three', '/t/e/d/two'])
  await fails(
    t,
    ['cp', '-n', at('one'), at('two')],
    /^bosmount: tests\/t\/one: tests\/t\/two: exists already$/m,
  )
  await fails(t, ['cp', at('one'), at('one')], /are the same/)
  await fails(t, ['cp', '-r', at('d'), at('d/x')], /lies within/)
  await fails(t, ['cp', at('one'), at('two'), at('copy')], /not a directory/, 2)
  await prints(t, 'mv', at('copy'), at('moved'))
  await prints(t, 'mv', at('e'), at('f'))
  const shown = await bosmount(['mv', '--progress', at('moved'), at('f')], { env })
  t.equal(shown.code, 0, shown.stderr)
  t.match(await allFiles(driver, '/t/f'), [
    '/t/f/d/one',
    '/t/f/d/three',
    '/t/f/d/two',
    '/t/f/moved',
  ])
  await t.rejects(driver.stat('/t/e'), 'the old name is gone')
  await fails(t, ['mv', at('nothing'), at('x')], /nothing: no such file or directory/)
  await fails(
    t,
    ['mv', '-n', at('one'), at('two')],
    /^bosmount: tests\/t\/one: tests\/t\/two: exists already$/m,
  )
})

void t.test('rm deletes what it is told and no more', async t => {
  await fill(driver, { '/rm/a': '', '/rm/b1': '', '/rm/b2': '', '/rm/d/x': '', '/rm/d/y/z': '' })
  const at = (path: string) => `${BUCKET}/rm/${path}`
  await prints(t, 'rm', at('a'))
  await fails(t, ['rm', at('d')], /is a directory \(add -r\)/)
  await fails(t, ['rm', at('nothing')], /no such file/)
  await prints(t, 'rm', '-f', at('nothing'), at('no*'))
  await fails(t, ['rm', '-r', BUCKET], /the root cannot be deleted/)
  const told = (await prints(t, 'rm', '-r', '--dry-run', at('d'))).trimEnd().split('\n')
  t.equal(told.at(-1), `${at('d')}/`, 'what is within comes before what it is within')
  t.same(told.slice(0, -1).sort(), [at('d/x'), at('d/y/z')])
  await prints(t, 'rm', at('b*'))
  t.same(await allFiles(driver, '/rm'), ['/rm/d/x', '/rm/d/y/z'])
  await prints(t, 'rm', '-r', at('d'))
  t.notOk((await driver.list('/')).includes('/rm'))
})

void t.test('work on a tree asks once for it, not once for each directory', async t => {
  for (let i = 0; i < 12; i += 1) await driver.putContent(`/many/d${i}/e/f`, Buffer.from('12'))
  await driver.makeDirectory('/many/d3/empty')
  const listings = async (): Promise<number> =>
    (await accessesOf(server)).filter(({ operation }) => operation === 'ListObjects').length
  const costs = async (...args: string[]): Promise<number> => {
    const before = await listings()
    await prints(t, ...args)
    // A command begins with a look at the bucket, and with one at each path that it was given.
    return (await listings()) - before
  }
  const at = `${BUCKET}/many`
  const few = 4
  t.ok((await costs('du', '-s', at)) <= few, 'du')
  t.ok((await costs('ls', '-r', at)) <= few, 'ls -r')
  t.equal((await prints(t, 'ls', '-r', at)).split('\n').length, 1 + 12 * 3 + 1, 'ls -r shows all')
  const before = (await accessesOf(server)).length
  t.ok((await costs('cp', '-r', at, `${BUCKET}/copied`)) <= few + 1, 'cp')
  const markers = (await accessesOf(server))
    .slice(before)
    .filter(({ operation, key }) => operation === 'PutObject' && key?.endsWith('/'))
  t.same(
    markers.map(({ key }) => key),
    ['copied/', 'copied/d3/empty/'],
    'files make their directories exist',
  )
  t.equal((await allFiles(driver, '/copied')).length, 12)
  t.ok((await costs('rm', '-r', '--dry-run', `${BUCKET}/copied`)) <= few, 'rm --dry-run')
  t.ok((await costs('rm', '-r', `${BUCKET}/copied`)) <= few, 'rm')
  t.same(
    (await allFiles(driver, '/')).filter(path => path.startsWith('/copied')),
    [],
  )
})

void t.test('du adds up', async t => {
  await fill(driver, { '/du/a': 'xx', '/du/d/b': 'yyy', '/du/d/e/c': 'zzzzz' })
  const at = `${BUCKET}/du`
  t.equal(await prints(t, 'du', at), `8\t${at}/d\n10\t${at}\n`)
  t.equal(await prints(t, 'du', '-s', at), `10\t${at}\n`)
  t.equal(await prints(t, 'du', '-d', '9', at), `5\t${at}/d/e\n8\t${at}/d\n10\t${at}\n`)
  t.equal(await prints(t, 'du', '-s', '-H', `${at}/d/b`), `3 bytes\t${at}/d/b\n`)
  t.same(JSON.parse(await prints(t, 'du', '-s', '--json', at)), {
    path: '/du',
    bytes: 10,
    files: 3,
  })
  await fails(t, ['du', '-d', 'x', at], /--max-depth: 'x' is not a number/, 2)
})

void t.test('url gives what a plain HTTP client can use, for a while', async t => {
  const url = (await prints(t, 'url', '--expires', '5m', `${BUCKET}/ls/a.txt`)).trimEnd()
  t.equal(await (await fetch(url)).text(), 'aaa')
  const row = JSON.parse(await prints(t, 'url', '--json', `${BUCKET}/ls/a.txt`)) as { url: string }
  t.equal(await (await fetch(row.url)).text(), 'aaa')
  await fails(t, ['url', '--expires', 'soon', `${BUCKET}/ls/a.txt`], /'soon' is not a time/, 2)
})

void t.test('a reader that goes away ends it without a word', async t => {
  const script = `"$0" "$1" cat ${BUCKET}/put/big.bin | head -c 10 | wc -c; echo "\${PIPESTATUS[0]}"`
  const finished = await run('bash', ['-c', script, process.execPath, PROGRAM], { env })
  t.equal(finished.text, '10\n141\n')
  t.equal(finished.stderr, '')
})

void t.test('Ctrl-C ends an upload, and nothing stays behind', async t => {
  const shell = new Background(
    t,
    process.execPath,
    [PROGRAM, 'put', '/dev/zero', `${BUCKET}/endless`],
    { env },
  )
  for (let began = false; !began;) {
    t.notOk(shell.hasEnded, shell.output)
    await sleep(100)
    began = (await unfinishedUploads(t, server)).length > 0
  }
  shell.signal('SIGINT')
  t.equal(await shell.end(), 130)
  t.equal(shell.output, '')
  t.same(await unfinishedUploads(t, server), [])
  await t.rejects(driver.stat('/endless'))
})

void t.test('--embedded works on the data of a server that is not running', async t => {
  const data = join(folder, 'embedded')
  const bare = environment({ BCE_ACCESS_KEY_ID: undefined, BCE_SECRET_ACCESS_KEY: undefined })
  const none = await bosmount(['ls', '--embedded', data], { env: bare })
  t.equal(none.code, 2)
  t.match(none.stderr, /has no data of an embedded server/)
  const made = new Background(
    t,
    process.execPath,
    [PROGRAM, 'serve', '--data-dir', data, '--listen', '127.0.0.1:0'],
    { env: bare },
  )
  await made.waitFor(/listening/)
  const busy = await bosmount(['ls', '--embedded', data], { env: bare })
  t.equal(busy.code, 1)
  t.match(busy.stderr, /in use by process/)
  await made.stop()
  const put = await bosmount(['put', '-', '/a/b', '--embedded', data], { env: bare, input: 'hi' })
  t.equal(put.code, 0, put.stderr)
  const cat = await bosmount(['cat', '/a/b', '--embedded', data], { env: bare })
  t.equal(cat.text, 'hi', cat.stderr)
})
