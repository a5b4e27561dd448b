/** Commands, mount options and services that the pages and examples show are those of the program. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { OPTIONS } from '../../src/config.js'
import { findOption } from '../../src/config/option.js'
import { mountOption } from '../../src/config/mount-options.js'
import { CliSession } from '../helpers/cli-session.js'
import { projectPath } from '../helpers/project.js'

function files(folder: string, ending: string): string[] {
  return readdirSync(projectPath(folder))
    .filter(name => name.endsWith(ending))
    .map(name => join(folder, name))
}

const PAGES = [...files('.', '.md'), ...files('docs', '.md')]
const EXAMPLES = ['Dockerfile', 'compose.yml', 'bosmount@.service'].map(name =>
  join('docs/examples', name),
)

function text(path: string): string {
  return readFileSync(projectPath(path), 'utf8')
}

interface Call {
  readonly where: string
  readonly words: readonly string[]
}

/** Calls of the program, in code only. Whatever a shell makes of a line ends it. */
function calls(path: string): Call[] {
  const all = text(path)
  const code = path.endsWith('.md')
    ? [...all.matchAll(/^```\w*\n([^]*?)^```|`([^`\n]+)`/gm)].map(
        match => match[1] ?? match[2] ?? '',
      )
    : [
        all
          .replaceAll(
            /CMD \[(.*)\]/g,
            (_, list: string) => `bosmount ${list.replaceAll(/[",]/g, '')}`,
          )
          .replaceAll('command: ', 'bosmount '),
      ]
  const found = code.join('\n').matchAll(/(?<![\w./@-])bosmount +([a-z][^\n|;#&)]*)/g)
  return [...found].map(([, rest = '']) => ({
    where: path,
    words: rest
      .replaceAll(/ {2,}.*/g, '')
      .trim()
      .split(/\s+/),
  }))
}

void t.test('commands that are shown have the flags and options that are shown', async t => {
  const session = new CliSession(t)
  const complete = async (...words: string[]): Promise<string[]> => {
    const { text } = await session.run(['__complete', ...words])
    return text.split('\n').map(line => line.replace(/\t.*/, ''))
  }
  const commands = await complete('')
  const known = new Map<string, readonly string[]>()
  let count = 0
  for (const { where, words } of [...PAGES, ...EXAMPLES].flatMap(calls)) {
    const [first = '', second = ''] = words
    if (!commands.includes(first)) continue
    const command = first === 'registry' ? [first, second] : [first]
    const name = command.join(' ')
    if (!known.has(name)) known.set(name, await complete(...command, '--'))
    const flags = words.filter(word => /^--[a-z]/.test(word)).map(word => word.replace(/=.*/, ''))
    for (const flag of flags) {
      count += 1
      t.ok(known.get(name)?.includes(flag), `${where}: ${words.join(' ')}`)
    }
    const options = words.filter((_, i) => words[i - 1] === '-o' && !/[…A-Z]/.test(words[i] ?? ''))
    for (const option of options.flatMap(list => list.split(','))) {
      const [key = '', value] = option.split('=')
      const isKnown = findOption(OPTIONS, key) ?? mountOption(key, value ?? true).kind !== 'unknown'
      count += 1
      t.ok(isKnown, `${where}: -o ${option}`)
    }
  }
  t.ok(count > 40, `${count} flags were looked at`)
})

void t.test('lines of fstab have options that are known', t => {
  const lines = PAGES.flatMap(page =>
    [...text(page).matchAll(/^\S+ \/\S+ fuse\.bosmount (\S+) /gm)].map(match => match[1] ?? ''),
  )
  t.ok(lines.length > 0)
  for (const option of lines.flatMap(list => list.split(','))) {
    const [key = '', value] = option.split('=')
    t.ok(findOption(OPTIONS, key) ?? mountOption(key, value ?? true).kind === 'ignored', option)
  }
  t.end()
})

interface Service {
  readonly devices?: readonly string[]
  readonly cap_add?: readonly string[]
  readonly volumes: readonly {
    readonly source: string
    readonly bind: { readonly propagation: string }
  }[]
  readonly environment: Readonly<Record<string, string>>
}

void t.test('the compose file gives what a mount needs, and passes the mount on', t => {
  const compose = parse(text('docs/examples/compose.yml')) as {
    readonly services: Readonly<Record<'bosmount' | 'registry', Service>>
  }
  const { bosmount, registry } = compose.services
  t.same(bosmount.devices, ['/dev/fuse'])
  t.same(bosmount.cap_add, ['SYS_ADMIN'])
  t.equal(bosmount.volumes[0]?.bind.propagation, 'rshared')
  t.equal(registry.volumes[0]?.bind.propagation, 'rslave')
  t.equal(registry.volumes[0]?.source, bosmount.volumes[0]?.source)
  const variables = OPTIONS.flatMap(({ environment }) => environment)
  for (const name of Object.keys(bosmount.environment)) t.ok(variables.includes(name), name)
  t.end()
})
