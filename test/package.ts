/**
 * What `npm pack` puts into the package: all that it needs, and nothing else. And what is installed
 * along with it: what the lock file names, byte for byte.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { projectPath } from './helpers/project.js'
import { runOk } from './helpers/processes.js'

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly man: readonly string[]
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly scripts: Readonly<Record<string, string>>
}

interface Packed {
  readonly files: readonly { readonly path: string }[]
}

interface Locked {
  readonly packages: Readonly<
    Record<
      string,
      {
        readonly integrity?: string
        readonly resolved?: string
        readonly optional?: boolean
        readonly os?: readonly string[]
        readonly cpu?: readonly string[]
        readonly libc?: readonly string[]
      }
    >
  >
}

/** Code, its types, and what is read by people. */
const BELONGS = [
  /^dist\/src\/.*(\.js|\.d\.ts)$/,
  /^dist\/bin\/(mount\.)?bosmount\.cjs$/,
  /^docs\/([A-Z]+\.md|man\/.*\.[18]|examples\/.*)$/,
  /^(ARCHITECTURE|CHANGELOG|CONTRIBUTING|README|README\.zh-CN|SECURITY)\.md$/,
  /^(LICENSE|package\.json)$/,
]

void t.test('the package holds what it needs and nothing else', async t => {
  const manifest = JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as Manifest
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error']
  const { text } = await runOk('npm', args, { cwd: projectPath('.') })
  const [packed] = JSON.parse(text) as [Packed]
  const paths = packed.files.map(({ path }) => path)
  for (const path of paths)
    t.ok(
      BELONGS.some(pattern => pattern.test(path)),
      path,
    )
  const needed = [
    ...Object.values(manifest.bin),
    ...manifest.man,
    ...Object.values(manifest.exports).flatMap(entry => Object.values(entry)),
  ].map(path => path.replace(/^\.\//, ''))
  for (const path of needed) t.ok(paths.includes(path), path)
})

void t.test('nothing runs when it is installed', t => {
  const { scripts } = JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as Manifest
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    t.notOk(name in scripts, name)
  }
  t.end()
})

/** A binary for another system than Linux with glibc on x64 or arm64, where npm leaves it out. */
function isForOthers({ optional, os, cpu, libc }: Locked['packages'][string]): boolean {
  const isHere =
    os?.includes('linux') !== false &&
    (cpu?.some(each => each === 'x64' || each === 'arm64') ?? true) &&
    (libc?.includes('glibc') ?? true)
  return optional === true && !isHere
}

void t.test('the lock file has the hash of every package that is installed on Linux', t => {
  const locked = JSON.parse(readFileSync(projectPath('package-lock.json'), 'utf8')) as Locked
  for (const [path, entry] of Object.entries(locked.packages)) {
    if (path === '' || (entry.resolved === undefined && isForOthers(entry))) continue
    t.match(entry.integrity, /^sha512-/, path)
  }
  t.end()
})
