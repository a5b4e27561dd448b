/** docs/COMMANDS.md and the man pages say what the program says; so does the unit for systemd. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OPTIONS } from '../../src/config.js'
import { environment, mountArguments, PROGRAM, startServer } from '../helpers/bosmount.js'
import { Background, run } from '../helpers/processes.js'
import { projectPath } from '../helpers/project.js'
import { scratchFolder } from '../helpers/scratch.js'

const { commandPages } = (await import(projectPath('scripts/docs-commands.mjs'))) as {
  readonly commandPages: () => Promise<Readonly<Record<string, string>>>
}

void t.test('the pages are up to date', async t => {
  for (const [path, text] of Object.entries(await commandPages())) {
    t.equal(readFileSync(projectPath(path), 'utf8'), text, `npm run docs:commands writes ${path}`)
  }
})

void t.test('the man pages name every option, and man(1) has no complaint', async t => {
  const manual = readFileSync(projectPath('docs/man/bosmount.1'), 'utf8').replaceAll('\\-', '-')
  for (const { name } of OPTIONS) t.ok(manual.includes(name), name)
  for (const page of ['bosmount.1', 'mount.bosmount.8']) {
    const groff = await run('sh', [
      '-c',
      'command -v groff >/dev/null || exit 0; groff -man -Tutf8 -ww -z "$0"',
      projectPath(`docs/man/${page}`),
    ])
    t.equal(groff.stderr, '', page)
  }
})

void t.test('a mount that systemd has started tells it when it is ready', async t => {
  const folder = scratchFolder(t)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const told = join(folder, 'told')
  const notify = join(folder, 'systemd-notify')
  writeFileSync(notify, `#!/bin/sh\necho "$@" >> '${told}'\n`)
  chmodSync(notify, 0o755)
  const env = environment({
    NOTIFY_SOCKET: '/nonexistent',
    PATH: `${folder}:${process.env['PATH'] ?? ''}`,
  })
  const args = [PROGRAM, ...mountArguments({ server, mountpoint }), '-f']
  const mount = new Background(t, process.execPath, args, { env })
  await mount.waitFor(/is mounted at/)
  t.match(
    readFileSync(told, 'utf8'),
    `--pid=${mount.pid} --ready --status=bos://tests is mounted at`,
  )
  t.equal(await mount.stop(), 0, mount.output)
  t.match(readFileSync(told, 'utf8'), /--stopping/)
})
