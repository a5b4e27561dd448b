/** Attributes, links and extended attributes as real programs set and read them, over remounts. */
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { accessesOf, countOperations } from '../helpers/access-log.js'
import { MountedBucket, startServer, type Server } from '../helpers/bosmount.js'
import { getxattr, listxattr, removexattr, setxattr } from '../helpers/libc.js'
import { run, runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

/** Another user than the one of the tests, who must be root to be somebody else. */
const OTHER = { uid: 12_345, gid: 23_456 }
const TIME = 1_234_567_890.25
const isRoot = process.getuid?.() === 0

interface Place {
  readonly server: Server
  readonly mountpoint: string
  readonly folder: string
  readonly mount: (...args: string[]) => Promise<MountedBucket>
}

async function place(t: Test): Promise<Place> {
  const folder = scratchFolder(t)
  // Others have to get past it.
  chmodSync(folder, 0o711)
  const mountpoint = join(folder, 'mount')
  const server = await startServer(t, folder)
  const mount = (...args: string[]): Promise<MountedBucket> =>
    MountedBucket.mount(t, { server, mountpoint, args })
  return { server, mountpoint, folder, mount }
}

const STORED = ['-o', 'attributes=stored']

void t.test('stored attributes are there after a remount', async t => {
  const { mount, mountpoint } = await place(t)
  const at = (name: string): string => join(mountpoint, name)
  const first = await mount(...STORED)
  writeFileSync(at('file'), 'content', { mode: 0o640 })
  mkdirSync(at('directory'))
  for (const name of ['file', 'directory']) {
    setxattr(at(name), 'user.colour', Buffer.from('red'))
    if (isRoot) chownSync(at(name), OTHER.uid, OTHER.gid)
    chmodSync(at(name), 0o710)
    utimesSync(at(name), TIME, TIME)
  }
  symlinkSync('../no/such thing', at('dangling'))
  symlinkSync('file', at('link'))
  await runOk('mkfifo', ['-m', '600', at('pipe')])
  t.equal(await first.unmount(), 0, first.process.output)
  const second = await mount(...STORED)
  for (const name of ['file', 'directory']) {
    const { mode, mtimeMs, uid, gid } = statSync(at(name))
    t.equal(mode & 0o7777, 0o710, name)
    t.equal(mtimeMs, TIME * 1000, name)
    if (isRoot) t.same({ uid, gid }, OTHER, name)
    t.same(listxattr(at(name)), ['user.colour'])
    t.equal(String(getxattr(at(name), 'user.colour')), 'red')
  }
  t.equal(readlinkSync(at('dangling')), '../no/such thing')
  t.equal(lstatSync(at('link')).size, 4)
  t.equal(readFileSync(at('link'), 'utf8'), 'content', 'a link is followed')
  t.ok(lstatSync(at('pipe')).isFIFO())
  t.match((await runOk('ls', ['-lF', mountpoint])).text, /link -> file/)
  removexattr(at('file'), 'user.colour')
  t.same(listxattr(at('file')), [])
  t.throws(() => linkSync(at('file'), at('hard')), { code: 'EPERM' })
  t.equal(await second.unmount(), 0)
})

void t.test('tar, cp -a and rsync -a bring a tree in, and find nothing to do again', async t => {
  const { folder, mount, mountpoint, server } = await place(t)
  const source = join(folder, 'source')
  const FILES = 20
  mkdirSync(join(source, 'below'), { recursive: true })
  for (let i = 0; i < FILES; i += 1) {
    const file = join(source, i % 2 === 0 ? 'below' : '.', `file ${i}`)
    writeFileSync(file, `content ${i}`)
    chmodSync(file, 0o600 + (i % 8))
    utimesSync(file, TIME + i, TIME + i)
  }
  symlinkSync('below/file 0', join(source, 'link'))
  chmodSync(join(source, 'below'), 0o2751)
  utimesSync(join(source, 'below'), TIME, TIME)
  // Long ago too: rsync sets no time that is right to the second, and what a change of names leaves
  // behind is not stored.
  utimesSync(source, TIME, TIME)
  await runOk('tar', ['-C', folder, '-cf', join(folder, 'tree.tar'), 'source'])
  const writes: Record<string, number> = {}
  let seen = 0
  const cost = async (what: string): Promise<void> => {
    const all = await accessesOf(server)
    const counts = countOperations(all.slice(seen))
    seen = all.length
    t.comment(what, Object.fromEntries(counts))
    writes[what] = (counts.get('PutObject') ?? 0) + (counts.get('CopyObject') ?? 0)
  }
  const first = await mount(...STORED)
  await cost('mount')
  mkdirSync(join(mountpoint, 'tar'))
  await runOk('tar', ['-C', join(mountpoint, 'tar'), '-xpf', join(folder, 'tree.tar')])
  await runOk('sync', ['-f', mountpoint])
  await cost('tar')
  await runOk('cp', ['-a', source, join(mountpoint, 'cp')])
  await runOk('sync', ['-f', mountpoint])
  await cost('cp')
  await runOk('rsync', ['-a', `${source}/`, join(mountpoint, 'rsync')])
  await runOk('sync', ['-f', mountpoint])
  await cost('rsync')
  t.equal(await first.unmount(), 0, first.process.output)
  await cost('unmount')
  // Each file, the link, the two directories; whoever made the tree beside it, that too.
  const floor = FILES + 3
  t.ok((writes['tar'] ?? 0) <= floor + 5, `tar: ${writes['tar']} of ${floor}`)
  t.ok((writes['cp'] ?? 0) <= floor + 5, `cp: ${writes['cp']} of ${floor}`)
  // A file is stored under its first name and copied to its last, with its attributes.
  t.ok((writes['rsync'] ?? 0) <= 2 * floor + 10, `rsync: ${writes['rsync']} of ${2 * floor}`)
  const second = await mount(...STORED)
  for (const name of ['tar/source', 'cp', 'rsync']) {
    const compared = await runOk('rsync', ['-ain', `${source}/`, join(mountpoint, name)])
    t.equal(compared.text, '', `rsync finds nothing to do in ${name}`)
  }
  t.equal(await second.unmount(), 0)
})

void t.test('what belongs to one user is not for another', { skip: !isRoot }, async t => {
  const { mount, mountpoint } = await place(t)
  const mounted = await mount(...STORED, '-o', 'allow_other')
  const at = (name: string): string => join(mountpoint, name)
  chmodSync(mountpoint, 0o1777)
  writeFileSync(at('mine'), 'x', { mode: 0o600 })
  mkdirSync(at('shared'))
  chownSync(at('shared'), 0, OTHER.gid)
  chmodSync(at('shared'), 0o2775)
  const asOther = (script: string) => run('sh', ['-c', script, 'sh', mountpoint], OTHER)
  t.not((await asOther('cat "$1/mine"')).code, 0)
  t.not((await asOther('rm -f "$1/mine"')).code, 0, 'sticky')
  t.equal((await asOther('umask 027; echo y > "$1/shared/theirs"')).code, 0)
  const { uid, gid, mode } = statSync(at('shared/theirs'))
  t.same({ uid, gid, mode: mode & 0o7777 }, { ...OTHER, mode: 0o640 })
  chmodSync(at('shared/theirs'), 0o4777)
  chownSync(at('shared/theirs'), 0, 0)
  t.equal(
    statSync(at('shared/theirs')).mode & 0o7777,
    0o777,
    'given away, it is no more set-user-id',
  )
  chmodSync(at('shared/theirs'), 0o4777)
  t.equal((await asOther('echo z >> "$1/shared/theirs"')).code, 0)
  t.equal(statSync(at('shared/theirs')).mode & 0o7777, 0o777, 'nor written to by another')
  t.equal(await mounted.unmount(), 0)
})

void t.test('a read-only mount refuses every change', async t => {
  const { mount, mountpoint } = await place(t)
  const at = (name: string): string => join(mountpoint, name)
  const first = await mount(...STORED)
  writeFileSync(at('file'), 'content')
  mkdirSync(at('directory'))
  t.equal(await first.unmount(), 0)
  const second = await mount(...STORED, '-o', 'ro')
  const changes: Record<string, () => void> = {
    create: () => closeSync(openSync(at('new'), 'wx')),
    write: () => closeSync(openSync(at('file'), 'r+')),
    truncate: () => truncateSync(at('file'), 1),
    mkdir: () => mkdirSync(at('new')),
    symlink: () => symlinkSync('x', at('new')),
    unlink: () => unlinkSync(at('file')),
    rmdir: () => rmdirSync(at('directory')),
    rename: () => renameSync(at('file'), at('new')),
    chmod: () => chmodSync(at('file'), 0o600),
    chown: () => chownSync(at('file'), 1, 1),
    utimes: () => utimesSync(at('file'), 1, 1),
    setxattr: () => void setxattr(at('file'), 'user.a', Buffer.from('1')),
    removexattr: () => void removexattr(at('file'), 'user.a'),
  }
  for (const [name, change] of Object.entries(changes)) {
    t.throws(change, { code: 'EROFS' }, name)
  }
  t.equal(readFileSync(at('file'), 'utf8'), 'content')
  t.equal(await second.unmount(), 0)
})

void t.test('what BOS knows of a file is at hand, with derived attributes too', async t => {
  const { mount, mountpoint, server } = await place(t)
  const mounted = await mount()
  const file = join(mountpoint, 'file')
  writeFileSync(file, 'content')
  const text = (name: string): string => String(getxattr(file, `user.bos.${name}`))
  t.equal(text('etag'), '9a0364b9e99bb480dd25e1f0284c8555')
  t.equal(text('key'), 'file')
  t.equal(text('content-type'), 'application/octet-stream')
  t.equal(text('storage-class'), 'STANDARD')
  const fetched = await fetch(text('url'))
  t.equal(await fetched.text(), 'content', 'the URL needs no credentials')
  t.throws(() => getxattr(file, 'user.bos.etag', 5), { code: 'ERANGE' })
  t.throws(() => getxattr(file, 'user.other'), { code: 'ENODATA' })
  t.throws(() => setxattr(file, 'user.other', Buffer.from('1')), { code: 'EOPNOTSUPP' })
  t.ok(server.endpoint.length > 0)
  t.equal(await mounted.unmount(), 0)
})
