/**
 * Runs the steps of a set-up quietly: one line per step, a program's full output only if it fails.
 *
 * Plain Node without dependencies, because it runs before there are any.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Something is wrong that the person at the keyboard can mend: the message says how. */
export class SetupError extends Error {}

/** Announces a step, does it, and says how long it took. */
export async function step(title, work) {
  const started = Date.now()
  process.stdout.write(`${title} ... `)
  try {
    const result = await work()
    process.stdout.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`)
    return result
  } catch (error) {
    process.stdout.write('failed\n')
    throw error
  }
}

/**
 * Runs a program with no input, keeping what it prints.
 *
 * @throws SetupError with all of its output when it does not end with 0
 */
export async function run(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
  const output = []
  child.stdout?.on('data', chunk => output.push(chunk))
  child.stderr?.on('data', chunk => output.push(chunk))
  const outcome = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
  const text = Buffer.concat(output).toString()
  if (outcome === 0) return text
  throw new SetupError(`${[program, ...args].join(' ')} ended with ${outcome}:\n${text.trimEnd()}`)
}

/** The path of an executable, also looked for where a user's PATH often does not reach. */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']
  for (const folder of folders.filter(folder => folder !== '')) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return path
    } catch {
      // Not in this folder.
    }
  }
  return undefined
}

/** Prints what went wrong, without a stack if it is the user's to mend, and sets the exit code. */
export function explain(error) {
  process.stderr.write(`\n${error instanceof SetupError ? error.message : error.stack}\n`)
  process.exitCode = 1
}
