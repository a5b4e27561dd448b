/** README.zh-CN.md follows README.md: the same sections, commands, outputs, tables and links. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { projectPath } from '../helpers/project.js'

interface Shape {
  readonly headings: number
  /** Without comments, which are translated. */
  readonly code: readonly string[]
  readonly links: readonly string[]
  readonly rows: number
}

function shapeOf(page: string): Shape {
  const text = readFileSync(projectPath(page), 'utf8')
  const blocks = [...text.matchAll(/^```[^]*?^```$/gm)].map(([block]) => block)
  const prose = blocks.reduce((rest, block) => rest.replace(block, ''), text)
  const links = [...prose.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
  return {
    headings: prose.match(/^#+ /gm)?.length ?? 0,
    code: blocks.map(block => block.replaceAll(/ +# .*$/gm, '')),
    // Each leads to the other one.
    links: links.filter(link => !link.startsWith('README')).toSorted(),
    rows: prose.match(/^\|/gm)?.length ?? 0,
  }
}

void t.test('both have the same sections, commands, outputs, tables and links', t => {
  t.same(shapeOf('README.zh-CN.md'), shapeOf('README.md'))
  t.end()
})
