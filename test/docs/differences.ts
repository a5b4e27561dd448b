/** Every difference that the POSIX suite lets pass is told to users, and is one of a case that exists. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { projectPath } from '../helpers/project.js'
import { DIFFERENCES } from '../suites/posix/differences.js'
import { CHAPTERS } from '../suites/posix/suite.js'

const documents = ['docs/SEMANTICS.md', 'docs/BINDINGS.md']
  .map(path => readFileSync(projectPath(path), 'utf8').replaceAll(/\s+/g, ' '))
  .join(' ')

void t.test('the documents give the reason for each difference', t => {
  for (const { because, title } of DIFFERENCES)
    t.ok(documents.includes(because), `${title}: ${because}`)
  t.end()
})

void t.test('each difference is one of a case', t => {
  const titles = new Set(Object.values(CHAPTERS).flatMap(cases => cases.map(({ title }) => title)))
  for (const { title } of DIFFERENCES) t.ok(titles.has(title), title)
  t.end()
})
