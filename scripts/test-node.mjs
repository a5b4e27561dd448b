/**
 * `npm run test:node [-- VERSION…] [-- files or folders]`: packs what is here, and with each version of Node.js
 * (default 20, 22 and 24) installs the package, mounts with it, and runs the tests.
 *
 * Versions of Node.js come from npm's package `node` into dist/node. What is installed under one version is
 * used under all: nothing is compiled for a version of Node.js.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { PROJECT } from './setup.mjs'
import { explain, run, SetupError, step } from './steps.mjs'

const DEFAULT_VERSIONS = ['20', '22', '24']

async function main() {
  const words = process.argv.slice(2)
  const isVersion = word => /^\d+(\.\d+)*$/.test(word)
  const versions = words.filter(isVersion)
  const files = words.filter(word => !isVersion(word) && word !== '--')
  const failed = []
  for (const version of versions.length > 0 ? versions : DEFAULT_VERSIONS) {
    const node = await obtain(version)
    const PATH = `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`
    const env = { ...process.env, PATH }
    const found = (await run(node, ['--version'], { env })).trim()
    await step(`${found}: install the packed package, mount, read back`, () => tryPackage(env))
    const outcome = await pass(node, [join(PROJECT, 'scripts', 'test.mjs'), ...files], env)
    if (outcome !== 0) failed.push(found)
  }
  if (failed.length > 0) throw new SetupError(`tests failed with ${failed.join(', ')}`)
}

/** The executable of a version. */
async function obtain(version) {
  const folder = join(PROJECT, 'dist', 'node', version)
  const node = join(folder, 'node_modules', 'node', 'bin', 'node')
  if (existsSync(node)) return node
  mkdirSync(folder, { recursive: true })
  // Its install script only puts the executable of this platform in place, and nothing else does.
  const manifest = { private: true, allowScripts: { node: true } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const args = ['install', `node@${version}`, '--no-audit', '--no-fund', '--loglevel=error']
  await step(`Node.js ${version}`, () => run('npm', args, { cwd: folder }))
  if (!existsSync(node)) throw new SetupError(`npm's package node@${version} has no ${node}`)
  return node
}

/** As a user would: a tarball, a prefix and a home directory of its own, nothing of the project. */
async function tryPackage(env) {
  const folder = mkdtempSync(join(tmpdir(), 'bosmount-package-'))
  try {
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', ['pack', '--pack-destination', folder, ...quiet], { cwd: PROJECT, env })
    const prefix = ['--prefix', join(folder, 'prefix')]
    const install = `npm install -g ${[...prefix, ...quiet].join(' ')} ${folder}/bosmount-*.tgz`
    await run('/bin/sh', ['-c', install], { cwd: folder, env })
    const home = { ...env, HOME: folder, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: folder }
    const own = { ...home, PATH: `${join(folder, 'prefix', 'bin')}${delimiter}${env.PATH}` }
    await run('/bin/sh', ['-ec', TRIAL], { cwd: folder, env: own })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const TRIAL = `
bosmount doctor
mkdir mount
bosmount mount --embedded data mount --log-file log
trap 'bosmount umount mount' EXIT
seq 100000 > numbers
cp numbers mount/
cmp numbers mount/numbers
bosmount stats mount --count 1
trap - EXIT
bosmount umount mount
bosmount cat /numbers --embedded data | cmp - numbers
mount.bosmount bucket /nowhere -f`

/** Runs a program whose output is shown. @returns its exit code */
async function pass(program, args, env) {
  const child = spawn(program, args, { cwd: PROJECT, env, stdio: ['ignore', 'inherit', 'inherit'] })
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => child.kill(signal))
  return await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal))
  })
}

main().catch(explain)
