/**
 * Imports go downward only, and each package is used only where it belongs.
 *
 * The two tables are the rule; ARCHITECTURE.md explains it. Type-only and dynamic imports count like
 * any other. Cycles between the files of one layer are the linter's business.
 */
import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { projectPath } from './helpers/project.js'

interface Layer {
  /** A file, or a folder with a slash at its end. The longest that fits a file is its layer. */
  readonly name: string
  /** Names of the layers that it may import, besides itself. */
  readonly imports: readonly string[]
}

const UTIL = 'src/util/'
const CONTRACT = [
  'src/driver/driver.ts',
  'src/driver/errors.ts',
  'src/driver/metadata.ts',
  'src/driver/parts.ts',
  'src/driver/path.ts',
]
const NARROW_WAIST = ['src/fs/operations.ts', 'src/fs/binding.ts']

const LAYERS: readonly Layer[] = [
  { name: UTIL, imports: [] },
  ...CONTRACT.map(name => ({ name, imports: [UTIL, ...CONTRACT] })),
  { name: 'src/driver/', imports: [UTIL, ...CONTRACT] },
  { name: 'src/driver/bos/', imports: [UTIL, ...CONTRACT, 'src/driver/'] },
  { name: 'src/driver/memory/', imports: [UTIL, ...CONTRACT, 'src/driver/'] },
  { name: 'src/journal/', imports: [UTIL, ...CONTRACT, 'src/driver/'] },
  { name: 'src/cache/', imports: [UTIL, ...CONTRACT] },
  ...NARROW_WAIST.map(name => ({ name, imports: [UTIL, ...NARROW_WAIST] })),
  { name: 'src/fs/core/', imports: [UTIL, ...CONTRACT, 'src/cache/', ...NARROW_WAIST] },
  { name: 'src/ledger/', imports: [UTIL, ...CONTRACT, 'src/fs/core/'] },
  { name: 'src/fs/fuse/', imports: [UTIL, ...NARROW_WAIST] },
  { name: 'src/fs/native/', imports: [UTIL, ...NARROW_WAIST] },
  // Never the driver: a bug in both would hide from every test.
  { name: 'src/server/', imports: [UTIL] },
  { name: 'src/config/', imports: [UTIL] },
  { name: 'src/config.ts', imports: [UTIL, 'src/config/'] },
  { name: 'src/metrics/', imports: [UTIL, ...CONTRACT, ...NARROW_WAIST] },
  // The layout of a registry, on any driver.
  { name: 'src/registry/', imports: [UTIL, ...CONTRACT, 'src/driver/'] },
  { name: 'src/embedded.ts', imports: [UTIL, 'src/server/'] },
  { name: 'src/mount.ts', imports: ['src/'] },
  { name: 'src/cli/', imports: ['src/'] },
  { name: 'src/index.ts', imports: ['src/'] },
  { name: 'bin/', imports: ['src/'] },
]

/** Nothing below the top imports these, whatever the table above says. */
const ONLY_FROM: Readonly<Record<string, readonly string[]>> = {
  'src/index.ts': [],
  'bin/': ['bin/'],
  'src/cli/': ['src/cli/', 'bin/'],
  'src/mount.ts': ['src/cli/', 'src/index.ts', 'bin/'],
}

/** Where each package may be imported. What is not listed may be imported nowhere in src and bin. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  '@baiducloud/sdk': ['src/driver/bos/'],
  undici: ['src/driver/bos/'],
  koffi: ['src/fs/fuse/'],
  'fuse-native': ['src/fs/native/'],
  'lru-cache': ['src/cache/', 'src/fs/core/'],
  lmdb: ['src/server/'],
  yargs: ['src/cli/', 'bin/'],
  yaml: ['src/config.ts', 'src/cli/'],
  pino: ['src/cli/', 'src/mount.ts'],
  'prom-client': ['src/metrics/'],
}

/** What is wrong with the imports of one file; each finding names the file and the import. */
function check(file: string, text: string): string[] {
  const layer = layerOf(file)
  if (layer === undefined) return [`${file} belongs to no layer of the table`]
  return ts
    .preProcessFile(text, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .flatMap(name =>
      name.startsWith('.') ? checkFile(file, layer, name) : checkPackage(file, name),
    )
}

function checkFile(file: string, layer: Layer, name: string): string[] {
  const target = posix.join(posix.dirname(file), name).replace(/\.([mc]?)js$/, '.$1ts')
  const found = [`${file} imports ${target}`]
  for (const [guarded, users] of Object.entries(ONLY_FROM)) {
    if (within(target, guarded) && !users.some(user => within(file, user))) return found
  }
  const targetLayer = layerOf(target)
  if (targetLayer === undefined) return found
  const allowed =
    targetLayer === layer ||
    layer.imports.some(
      name => name === targetLayer.name || (name === 'src/' && within(target, name)),
    )
  return allowed ? [] : found
}

function checkPackage(file: string, name: string): string[] {
  if (name.startsWith('node:')) return []
  const parts = name.split('/')
  const packageName = parts.slice(0, name.startsWith('@') ? 2 : 1).join('/')
  const places = PACKAGES[packageName] ?? []
  return places.some(place => within(file, place)) ? [] : [`${file} imports package ${name}`]
}

function layerOf(file: string): Layer | undefined {
  const fitting = LAYERS.filter(({ name }) => within(file, name))
  return fitting.sort((one, other) => other.name.length - one.name.length)[0]
}

function within(file: string, place: string): boolean {
  return place.endsWith('/') ? file.startsWith(place) : file === place
}

function sources(): string[] {
  const root = projectPath('.')
  return ts.sys
    .readDirectory(
      root,
      ['.ts', '.cts', '.mts'],
      ['node_modules', 'dist'],
      ['src/**/*', 'bin/**/*'],
    )
    .map(path => posix.relative(root, path))
}

void t.test('every import of src and bin goes the way the layers go', async t => {
  const files = sources()
  t.ok(files.includes('src/driver/driver.ts'), 'the sources are found')
  for (const file of files) {
    t.same(check(file, readFileSync(projectPath(file), 'utf8')), [], file)
  }
})

void t.test('a forbidden import is found in every form', async t => {
  const forms: readonly (readonly [file: string, text: string, finding: string])[] = [
    [
      'src/server/store.ts',
      "import type { FileInfo } from '../driver/driver.js'",
      'src/server/store.ts imports src/driver/driver.ts',
    ],
    [
      'src/fs/fuse/session.ts',
      "export { toErrno } from '../core/to-errno.js'",
      'src/fs/fuse/session.ts imports src/fs/core/to-errno.ts',
    ],
    [
      'src/driver/bos/api.ts',
      "const cache = await import('../../cache/block-cache.js')",
      'src/driver/bos/api.ts imports src/cache/block-cache.ts',
    ],
    [
      'src/util/units.ts',
      "import '../driver/errors.js'",
      'src/util/units.ts imports src/driver/errors.ts',
    ],
    [
      'src/cache/block-cache.ts',
      "import { openBosDriver } from '../driver/bos/driver.js'",
      'src/cache/block-cache.ts imports src/driver/bos/driver.ts',
    ],
    ['src/config.ts', "import { x } from './mount.js'", 'src/config.ts imports src/mount.ts'],
    ['src/cli/main.ts', "import { x } from '../index.js'", 'src/cli/main.ts imports src/index.ts'],
    ['src/mount.ts', "import { x } from './cli/main.js'", 'src/mount.ts imports src/cli/main.ts'],
    [
      'src/util/hash.ts',
      "import { request } from 'undici'",
      'src/util/hash.ts imports package undici',
    ],
    ['src/driver/walk.ts', "import t from 'tap'", 'src/driver/walk.ts imports package tap'],
    [
      'src/driver/bos/api.ts',
      "import t from '../../../test/helpers/project.js'",
      'src/driver/bos/api.ts imports test/helpers/project.ts',
    ],
    [
      'src/fs/core/file.ts',
      "import sdk from '@baiducloud/sdk/src/auth.js'",
      'src/fs/core/file.ts imports package @baiducloud/sdk/src/auth.js',
    ],
    ['src/new-thing.ts', '', 'src/new-thing.ts belongs to no layer of the table'],
  ]
  for (const [file, text, finding] of forms) t.same(check(file, text), [finding], finding)
})

void t.test('what is allowed is let through', async t => {
  const text = `
    import { readFile } from 'node:fs/promises'
    import { PathNotFoundError } from '../errors.js'
    import { KiB } from '../../util/units.js'
    import { Pool } from 'undici'`
  t.same(check('src/driver/bos/driver.ts', text), [])
})
