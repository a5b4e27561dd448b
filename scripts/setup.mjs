/**
 * Everything that `npm start` and `npm test` need before they can begin, in the order in which it is
 * needed: a Node.js that is new enough, system packages, /dev/fuse, npm packages, compiled code.
 * What is there already costs nothing and prints nothing.
 */
import { chmodSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureFuseDevice } from './fuse-device.mjs'
import { run, SetupError, step } from './steps.mjs'
import { ensureSystemPackages } from './system-packages.mjs'

/** The folder of package.json. */
export const PROJECT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** Programs of npm that tests run, with their hundreds of packages, apart from those of the project. */
const FIXTURES = [join(PROJECT, 'test', 'fixtures', 'verdaccio')]

const MINIMUM_NODE = [20, 19]

/** @param use 'start': what mounting needs; 'test': also what the tests need */
export async function setUp(use) {
  checkNode()
  if (process.platform !== 'linux') {
    throw new SetupError(`This works on Linux only (here: ${process.platform}).`)
  }
  await ensureSystemPackages(use)
  await ensureFuseDevice({ forEveryone: use === 'test' })
  await ensureNpmPackages(PROJECT)
  if (use === 'test') for (const folder of FIXTURES) await ensureNpmPackages(folder)
  await step('compiling', () => compile(use))
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const [needMajor, needMinor] = MINIMUM_NODE
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return
  throw new SetupError(
    `Node.js ${MINIMUM_NODE.join('.')} or newer is needed; this is ${process.versions.node}.`,
  )
}

async function ensureNpmPackages(folder) {
  const lock = join(folder, 'package-lock.json')
  const npm = (command, ...options) => runNpm(folder, command, ...options)
  const where = folder === PROJECT ? '' : ` in ${relative(PROJECT, folder)}`
  if (installedMatches(folder)) return
  if (!existsSync(lock)) return step(`npm install${where}`, () => npm('install'))
  try {
    await step(`npm ci${where}`, () => npm('ci'))
  } catch (error) {
    // npm writes incomplete lock files where a registry lacks packages of other platforms, and then
    // refuses them. The versions in it hold all the same.
    if (!error.message.includes('EUSAGE')) throw error
    await step('npm ci does not accept the lock file; npm install', () =>
      npm('install', '--no-save'),
    )
  }
}

async function runNpm(folder, command, ...options) {
  const args = [command, ...options, '--no-audit', '--no-fund', '--loglevel=error']
  await run('npm', args, { cwd: folder })
}

/**
 * Compares what npm says it has installed with the lock file, by content: times of files mean
 * nothing after a checkout.
 */
function installedMatches(folder) {
  const installed = readPackages(join(folder, 'node_modules', '.package-lock.json'))
  if (installed === undefined) return false
  const wanted = readPackages(join(folder, 'package-lock.json'))
  if (wanted === undefined) return true
  return Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true
    const found = installed[path]
    // npm leaves out what is optional and not for this platform.
    if (found === undefined) return entry.optional === true || entry.devOptional === true
    return found.version === entry.version
  })
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages
  } catch {
    return undefined
  }
}

async function compile(use) {
  const compiler = join(PROJECT, 'node_modules', 'typescript', 'bin', 'tsc')
  // A record of what was compiled, without the result of it, would make the compiler do nothing.
  if (!existsSync(join(PROJECT, 'dist', 'src'))) {
    rmSync(join(PROJECT, 'dist'), { recursive: true, force: true })
  }
  const project = use === 'test' ? 'test' : '.'
  await run(process.execPath, [compiler, '-b', project], { cwd: PROJECT })
  for (const file of Object.values(commands())) makeExecutable(join(PROJECT, file))
}

/** npm does the same when it links the commands of an installed package. */
function makeExecutable(file) {
  if (existsSync(file)) chmodSync(file, 0o755)
}

/** The compiled files of the package's commands, relative to the project, by name. */
export function commands() {
  return JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')).bin
}
