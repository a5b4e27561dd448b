/**
 * Runs one compiled test file as a process of its own and judges it: by its TAP, by how it ended, and
 * by what it left behind.
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sweep } from './leftovers.mjs'
import { PROJECT } from './setup.mjs'
import { countTap } from './tap-count.mjs'

/** Between tap's own time-out, which says where the test hangs, and killing it from outside. */
const GRACE = 5000

/** For output that is still in the pipe when the process has ended. */
const DRAIN = 1000

/** Kept of what a test prints on stderr, for the report of a failure. */
const MAX_STDERR = 64 * 1024

/**
 * @param file The source, for messages
 * @param options.limit Milliseconds it may take
 * @param options.signal Ends it early; its reason is then reported as the failure
 * @returns passed, skipped, todo, failures (name, lines), milliseconds
 */
export async function runTestFile(file, compiled, { limit, signal }) {
  const started = Date.now()
  // A short path: sockets and mount points of the tests lie in it.
  const scratch = mkdtempSync(join(tmpdir(), 'bosmount-test-'))
  // Some tests let another user mount below it.
  chmodSync(scratch, 0o755)
  try {
    const counts = signal.aborted
      ? { passed: 0, skipped: 0, todo: 0, failures: [stopped(signal)] }
      : await runProcess(compiled, { scratch, limit, signal })
    for (const name of await sweep(scratch)) counts.failures.push({ name, lines: [] })
    return { ...counts, milliseconds: Date.now() - started }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

async function runProcess(compiled, { scratch, limit, signal }) {
  const child = spawn(process.execPath, ['--enable-source-maps', compiled], {
    cwd: PROJECT,
    env: {
      ...process.env,
      TMPDIR: scratch,
      BOSMOUNT_TEST_SCRATCH: scratch,
      TAP: '1',
      TAP_TIMEOUT: String(limit / 1000),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, so that what it started goes with it.
    detached: true,
  })
  let stderr = ''
  child.stderr.on('data', chunk => {
    stderr = (stderr + chunk).slice(-MAX_STDERR)
  })
  const kill = () => killGroup(child)
  const timer = setTimeout(kill, limit + GRACE)
  signal.addEventListener('abort', kill, { once: true })
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, killer) => {
      // A process that it left and that holds its output must not keep us waiting.
      killGroup(child)
      setTimeout(() => child.stdout.destroy(), DRAIN).unref()
      resolve(code ?? killer)
    })
  })
  const [counts, outcome] = await Promise.all([countTap(child.stdout), ended])
  clearTimeout(timer)
  signal.removeEventListener('abort', kill)
  return judge(counts, { outcome, stderr, signal })
}

/** What the TAP alone does not show. */
function judge(counts, { outcome, stderr, signal }) {
  const { failures } = counts
  if (signal.aborted) failures.push(stopped(signal))
  if (outcome !== 0 && failures.length === 0) {
    failures.push({ name: `ended with ${outcome}`, lines: [] })
  }
  if (counts.passed + counts.skipped + counts.todo === 0 && failures.length === 0) {
    failures.push({ name: 'asserts nothing', lines: [] })
  }
  if (failures.length > 0 && stderr !== '') {
    failures.at(-1).lines.push('its stderr:', ...stderr.trimEnd().split('\n'))
  }
  return counts
}

function stopped(signal) {
  return { name: `not finished: ${signal.reason}`, lines: [] }
}

function killGroup(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // Nobody is left in it.
  }
}
