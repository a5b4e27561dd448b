/**
 * What the pages refer to exists: files and headings that they link to, and files that they name in
 * backquotes. Every page is linked to from the README. Nothing outside of the project is asked for.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { projectPath } from '../helpers/project.js'

const PAGES = ['.', 'docs'].flatMap(folder =>
  readdirSync(projectPath(folder))
    .filter(name => name.endsWith('.md'))
    .map(name => join(folder, name)),
)

const FILES: readonly string[] = ['bench', 'bin', 'docs', 'scripts', 'src', 'test'].flatMap(
  folder =>
    readdirSync(projectPath(folder), { recursive: true, encoding: 'utf8' }).map(
      name => `/${folder}/${name}`,
    ),
)

function read(page: string): string {
  return readFileSync(projectPath(page), 'utf8')
}

/** The page without its blocks of code, which hold no links. */
function prose(page: string): string {
  return read(page).replaceAll(/^```[^]*?^```$/gm, '')
}

/** The anchors that GitHub makes of headings. */
function anchors(page: string): ReadonlySet<string> {
  const headings = [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading)
  return new Set(
    headings.map(heading =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

for (const page of PAGES) {
  void t.test(`what ${page} links to is there`, t => {
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : normalize(join(dirname(page), path))
      t.ok(existsSync(projectPath(target)), link)
      if (anchor !== undefined) t.ok(anchors(target).has(anchor), link)
    }
    t.end()
  })

  void t.test(`the files that ${page} names are there`, t => {
    for (const [, name = ''] of prose(page).matchAll(
      /`([\w./@-]+\.(?:c?ts|mjs|md)|(?:src|test|scripts|bench|bin|docs)\/[\w./@-]+)`/g,
    )) {
      t.ok(existsSync(projectPath(name)) || FILES.some(file => file.endsWith(`/${name}`)), name)
    }
    t.end()
  })
}

for (const readme of ['README.md', 'README.zh-CN.md']) {
  void t.test(`${readme} leads to every page`, t => {
    const text = read(readme)
    for (const page of PAGES) {
      if (page !== readme) t.ok(text.includes(`](${page})`), page)
    }
    t.end()
  })
}
