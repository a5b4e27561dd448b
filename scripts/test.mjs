/**
 * `npm test [-- files or folders]`: sets up, compiles, runs the tests, and ends with one plain line,
 * `N passed, N failed`, counted from the TAP of the tests. The exit code is 0 only if nothing failed
 * and at least one assertion passed.
 *
 * Each test file is a process of its own with a time limit and a temporary folder of its own. A file
 * that leaves a mount or a process behind has failed, and what it left is removed. Files that mount
 * or start a registry run one at a time after all others, so that two cores suffice and the load of
 * one is not the time-out of another.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { PROJECT, setUp } from './setup.mjs'
import { explain, SetupError } from './steps.mjs'

const MINUTES = 60_000
/** Of all files together: a hanging test must not take a build server's day. Two idle cores need about 6 minutes. */
const DEADLINE = 60 * MINUTES

const PHASES = [
  { title: 'tests', jobs: 2, limit: 10 * MINUTES, holds: file => !isExclusive(file) },
  { title: 'mounts and registries', jobs: 1, limit: 10 * MINUTES, holds: isExclusive },
]

/** Folders of test/ that hold no tests of their own, or none that can run here. */
const NO_TESTS = ['helpers', 'suites', 'assume', 'fixtures']

function isExclusive(file) {
  return file.startsWith('test/mount/') || file.endsWith('/mounted.ts')
}

async function main() {
  const files = chooseFiles(process.argv.slice(2))
  await setUp('test')
  const total = await runAll(files)
  if (total.failures.length > 0) console.log('\nfailed:')
  for (const name of total.failures) console.log('  ' + name)
  if (total.skipped + total.todo > 0) console.log(`${total.skipped} skipped, ${total.todo} to do`)
  finish(total.passed, total.failures.length)
}

function finish(passed, failed) {
  process.stdout.write(`${passed} passed, ${failed} failed\n`)
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
}

/** Source files of tests, relative to the project: never a compiled file whose source is gone. */
function chooseFiles(paths) {
  const all = listTests('test')
  if (paths.length === 0) return all
  const wanted = paths.map(path =>
    relative(PROJECT, resolve(path))
      .replace(/^dist\//, '')
      .replace(/\.js$/, '.ts'),
  )
  const chosen = all.filter(file =>
    wanted.some(path => file === path || file.startsWith(`${path}/`) || path === ''),
  )
  if (chosen.length === 0) throw new SetupError(`No test file at ${paths.join(', ')}`)
  return chosen
}

function listTests(folder) {
  const entries = readdirSync(join(PROJECT, folder), { withFileTypes: true })
  const byName = entries.sort((one, other) => (one.name < other.name ? -1 : 1))
  return byName.flatMap(entry => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return NO_TESTS.includes(entry.name) ? [] : listTests(path)
    return isTest(path) ? [path] : []
  })
}

/** Helpers may lie beside the tests that share them; only a test runs tap, or scenes that do. */
function isTest(path) {
  if (!path.endsWith('.ts') || path.endsWith('.d.ts')) return false
  const runs = /^(import (?!type\b).*|\} from )'(tap|[./]+\/helpers\/[a-z-]*scene\.js)'$/m
  return runs.test(readFileSync(join(PROJECT, path), 'utf8'))
}

async function runAll(files) {
  // Only now is it certain that the packages it imports are installed.
  const { runTestFile } = await import('./test-file.mjs')
  const total = { passed: 0, skipped: 0, todo: 0, failures: [] }
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort('the time for the whole run is over'), DEADLINE)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => stop.abort(`stopped by ${signal}`))
  }
  for (const { title, jobs, limit, holds } of PHASES) {
    const queue = files.filter(holds)
    if (queue.length === 0) continue
    console.log(`\n${title}:`)
    const work = async () => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const result = await runTestFile(file, compiledTo(file), { limit, signal: stop.signal })
        print(file, result)
        add(total, file, result)
      }
    }
    await Promise.all(Array.from({ length: jobs }, work))
  }
  clearTimeout(timer)
  return total
}

function compiledTo(file) {
  const path = join(PROJECT, 'dist', file.replace(/\.ts$/, '.js'))
  if (!existsSync(path)) throw new SetupError(`${file} was not compiled to ${path}`)
  return path
}

function print(file, { passed, failures, milliseconds }) {
  const time = `${(milliseconds / 1000).toFixed(1)} s`
  console.log(`${failures.length === 0 ? 'ok  ' : 'FAIL'} ${file} (${passed} passed, ${time})`)
  for (const { name, lines } of failures) {
    console.log(`  not ok: ${name}`)
    for (const line of lines) console.log(`    ${line}`)
  }
}

function add(total, file, { passed, skipped, todo, failures }) {
  total.passed += passed
  total.skipped += skipped
  total.todo += todo
  total.failures.push(...failures.map(({ name }) => `${file}: ${name}`))
}

main().catch(error => {
  explain(error)
  finish(0, 1)
})
