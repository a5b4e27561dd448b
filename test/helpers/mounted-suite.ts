/** What every binding must do on a real mount: a suite over the settings of a server process. */
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFile,
  mkdir,
  open,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { run, startMount, type Settings } from './mount-process.js'

const TIMEOUT = { timeout: 120_000 }

async function sha256(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex')
}

export async function mountedSuite(t: Test, settings: Settings): Promise<void> {
  await t.test('files are written, appended, cut, renamed and removed', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, settings)
    const file = join(mountpoint, 'a')
    await writeFile(file, 'hello ')
    await appendFile(file, 'world')
    t.equal(await readFile(file, 'utf8'), 'hello world')
    await truncate(file, 5)
    t.equal(await readFile(file, 'utf8'), 'hello')
    await truncate(file, 8)
    t.equal(await readFile(file, 'latin1'), 'hello\0\0\0')
    await writeFile(file, 'new')
    t.equal(await readFile(file, 'utf8'), 'new', 'opening with O_TRUNC empties')
    await mkdir(join(mountpoint, 'd'))
    await rename(file, join(mountpoint, 'd', 'b'))
    await t.rejects(stat(file), { code: 'ENOENT' })
    t.equal(await readFile(join(mountpoint, 'd', 'b'), 'utf8'), 'new')
    await t.rejects(rm(join(mountpoint, 'd')), { code: 'ERR_FS_EISDIR' })
    await run('rmdir', [join(mountpoint, 'd')]).then(
      () => t.fail('a directory with a file was removed'),
      (error: Error) => t.match(error.message, /not empty/),
    )
    await rm(join(mountpoint, 'd'), { recursive: true })
    t.strictSame(await readdir(mountpoint), [])
  })

  await t.test('attributes are those that were set', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, settings)
    const file = join(mountpoint, 'a')
    await writeFile(file, 'x', { mode: 0o640 })
    t.equal((await stat(file)).mode & 0o7777, 0o640)
    await utimes(file, 1_000_000_000, 1_500_000_000.25)
    const { atimeMs, mtimeMs } = await stat(file)
    t.equal(atimeMs, 1_000_000_000_000)
    if (settings.binding === 'fuse') t.equal(mtimeMs, 1_500_000_000_250)
    await symlink('a/../ü', join(mountpoint, 'link'))
    t.equal(await readlink(join(mountpoint, 'link')), 'a/../ü')
    const { stdout } = await run('df', ['--output=size,avail', '-B4096', mountpoint])
    t.match(stdout, /1000\s+400/)
  })

  await t.test('bytes read in places are those written in places', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, settings)
    const file = await open(join(mountpoint, 'a'), 'w+')
    const model = Buffer.alloc(300_000)
    for (let i = 0; i < 40; i++) {
      const bytes = randomBytes(1 + ((i * 977) % 9000))
      const offset = (i * 7919) % (model.length - bytes.length)
      bytes.copy(model, offset)
      await file.write(bytes, 0, bytes.length, offset)
    }
    await file.truncate(model.length)
    const got = Buffer.alloc(model.length)
    await file.read(got, 0, got.length, 0)
    await file.sync()
    await file.close()
    t.ok(got.equals(model))
  })

  await t.test('a directory of 5000 files is listed whole', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, settings)
    const names = Array.from({ length: 5000 }, (_, i) => `file-${i}`)
    for (const name of names) await writeFile(join(mountpoint, name), '')
    t.strictSame((await readdir(mountpoint)).toSorted(), names.toSorted())
    const { stdout } = await run('sh', ['-c', 'ls -l | tail -n +2 | wc -l'], { cwd: mountpoint })
    t.equal(stdout.trim(), '5000')
    await run('sh', ['-c', 'rm -r *'], { cwd: mountpoint })
    t.strictSame(await readdir(mountpoint), [])
  })

  for (const late of [false, true]) {
    const title = late ? 'answered late' : 'answered at once'
    await t.test(`a big file comes back as it went, ${title}`, TIMEOUT, async t => {
      const server = await startMount(t, { ...settings, ...(late && { latency: 1 }) })
      const content = randomBytes(24 * 1024 * 1024 + 12345)
      const file = join(server.mountpoint, 'big')
      await writeFile(file, content)
      await run('cp', [file, join(server.mountpoint, 'copy')])
      const expected = createHash('sha256').update(content).digest('hex')
      t.equal(await sha256(file), expected)
      t.equal(await sha256(join(server.mountpoint, 'copy')), expected)
      const sums = await Promise.all(
        Array.from({ length: 8 }, () => run('sha256sum', [join(server.mountpoint, 'copy')])),
      )
      t.ok(sums.every(({ stdout }) => stdout.startsWith(expected)))
    })
  }

  await t.test('a fault of the file system is EIO, and the mount lives on', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, settings)
    const file = join(mountpoint, 'faulty')
    await writeFile(file, 'x')
    await run('dd', [`if=${file}`, 'iflag=nocache', 'of=/dev/null']).then(
      () => t.fail('a faulty file was read'),
      (error: Error) => t.match(error.message, /Input\/output error/),
    )
    t.strictSame(await readdir(mountpoint), ['faulty'])
  })

  await t.test('a mount that is unmounted ends in order', TIMEOUT, async t => {
    const server = await startMount(t, settings)
    await writeFile(join(server.mountpoint, 'a'), 'x')
    server.send({ do: 'unmount', lazy: false })
    await server.next('unmounted')
    t.equal((await server.next('closed')).destroyed, 1)
    t.strictSame(await server.exited(), { code: 0, signal: null })
    t.strictSame(await readdir(server.mountpoint), [])
  })

  await t.test('a mount that is unmounted from outside ends in order', TIMEOUT, async t => {
    const server = await startMount(t, settings)
    await run('umount', [server.mountpoint])
    t.equal((await server.next('closed')).destroyed, 1)
    t.strictSame(await server.exited(), { code: 0, signal: null })
  })

  await t.test('a read-only mount refuses to write', TIMEOUT, async t => {
    const { mountpoint } = await startMount(t, { ...settings, readOnly: true })
    await t.rejects(writeFile(join(mountpoint, 'a'), 'x'), { code: 'EROFS' })
  })
}
