/** docs/COMMANDS.md and the man pages say what the program says. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { OPTIONS } from '../../src/config.js'
import { run, runOk } from '../helpers/processes.js'
import { executable, projectPath } from '../helpers/project.js'

const { commandPages } = (await import(projectPath('scripts/docs-commands.mjs'))) as {
  readonly commandPages: () => Promise<Readonly<Record<string, string>>>
}

void t.test('the pages are up to date', async t => {
  for (const [path, text] of Object.entries(await commandPages())) {
    t.equal(readFileSync(projectPath(path), 'utf8'), text, `npm run docs:commands writes ${path}`)
  }
})

void t.test('every command has a section', async t => {
  const { text } = await runOk(process.execPath, [executable('bosmount'), '--help'])
  const page = readFileSync(projectPath('docs/COMMANDS.md'), 'utf8')
  const commands = [...text.matchAll(/^ {2}bosmount ([a-z]+)/gm)].map(([, name = '']) => name)
  t.ok(commands.includes('mount'))
  for (const name of commands) t.match(page, new RegExp(`^## bosmount ${name}\\b`, 'm'))
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
