/** docs/CONFIGURATION.md says what the table of options says. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { OPTIONS } from '../../src/config.js'
import { PARAMETER_NAMES } from '../../src/driver/parameters.js'
import { projectPath } from '../helpers/project.js'

const { configurationPage } = (await import(projectPath('scripts/docs-config.mjs'))) as {
  readonly configurationPage: () => Promise<string>
}

void t.test('the page is up to date', async t => {
  const page = readFileSync(projectPath('docs/CONFIGURATION.md'), 'utf8')
  t.equal(page, await configurationPage(), 'npm run docs:config writes it anew')
})

void t.test('the table and the driver know the same parameters', async t => {
  const names = OPTIONS.filter(({ group }) => group === 'BOS').map(({ name }) => name)
  t.same(names.toSorted(), [...PARAMETER_NAMES].toSorted())
})

void t.test('every option and every variable is on the page', async t => {
  const page = await configurationPage()
  for (const { name, environment } of OPTIONS) {
    for (const word of [name, ...environment]) t.ok(page.includes(`\`${word}\``), word)
  }
})
