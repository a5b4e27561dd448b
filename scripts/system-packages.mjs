/**
 * The programs and libraries of the operating system that this project uses, and how to get them
 * where apt-get is at hand.
 *
 * A thing counts as present when its program or library is found, however it was installed; only
 * what is missing is asked of apt-get. docker-registry is wanted for its executable alone: its
 * service is neither started now nor at the next boot.
 */
import { existsSync, readdirSync } from 'node:fs'
import { findProgram, run, SetupError, step } from './steps.mjs'

const FUSE = { packages: ['fuse3'], present: () => findProgram('fusermount3') !== undefined }

/** What each use needs. `packages` are names of the same thing in different releases. */
const NEEDED = {
  start: [FUSE],
  test: [
    FUSE,
    {
      packages: ['docker-registry'],
      present: () => findProgram('docker-registry') !== undefined,
    },
    { packages: ['skopeo'], present: () => findProgram('skopeo') !== undefined },
    { packages: ['git'], present: () => findProgram('git') !== undefined },
    { packages: ['sqlite3'], present: () => findProgram('sqlite3') !== undefined },
    { packages: ['python3'], present: () => findProgram('python3') !== undefined },
    { packages: ['rsync'], present: () => findProgram('rsync') !== undefined },
    { packages: ['libfuse2', 'libfuse2t64'], present: () => hasLibrary('libfuse.so.2') },
  ],
}

/** Makes sure that everything needed for `use`, 'start' or 'test', is installed. */
export async function ensureSystemPackages(use) {
  const missing = NEEDED[use].filter(thing => !thing.present())
  if (missing.length === 0) return
  const preferred = missing.map(thing => thing.packages[0])
  const byHand = `apt-get install --no-install-recommends ${preferred.join(' ')}`
  if (findProgram('apt-get') === undefined) {
    throw new SetupError(
      `Missing: ${preferred.join(', ')} (names of Debian packages), and there is no apt-get here.\n` +
        'Install them with the package manager of this system and try again.',
    )
  }
  const asRoot = rootPrefix()
  if (asRoot === undefined) {
    throw new SetupError(
      `Missing: ${preferred.join(', ')}. Installing needs root and there is no sudo here.\n` +
        `As root, run: ${byHand}`,
    )
  }
  await step(`installing ${preferred.join(', ')}`, () => install(missing, asRoot, byHand))
  const still = missing.filter(thing => !thing.present()).map(thing => thing.packages[0])
  if (still.length > 0) throw new SetupError(`apt-get succeeded but ${still.join(', ')} is missing`)
}

async function install(missing, asRoot, byHand) {
  try {
    // A source that does not answer is no obstacle if the others have what is wanted.
    await runAsRoot(asRoot, UPDATE).catch(error => console.log(`(${error.message})`))
    const names = []
    for (const thing of missing) names.push(await nameInThisRelease(thing.packages))
    await runAsRoot(asRoot, INSTALL, names)
  } catch (error) {
    throw new SetupError(`${error.message}\n\nTo install by hand, as root: ${byHand}`)
  }
}

async function nameInThisRelease(candidates) {
  for (const name of candidates) {
    try {
      const text = await run('apt-cache', ['policy', name])
      if (/Candidate: (?!\(none\))/.test(text)) return name
    } catch {
      // Unknown here: try the next name.
    }
  }
  return candidates[0]
}

/** What to put before a command that needs root; undefined when there is no way. */
function rootPrefix() {
  if (process.getuid?.() === 0) return []
  const sudo = findProgram('sudo')
  if (sudo === undefined) return undefined
  return process.stdin.isTTY ? [sudo] : [sudo, '-n']
}

async function runAsRoot(asRoot, script, args = []) {
  const [program, ...rest] = [...asRoot, '/bin/sh', '-c', script, 'sh', ...args]
  // sudo may have to ask for a password.
  const stdin = asRoot.length > 0 ? 'inherit' : 'ignore'
  await run(program, rest, { stdio: [stdin, 'pipe', 'pipe'] })
}

const UPDATE = `
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq`

// policy-rc.d answering 101 is Debian's way to keep a package from starting its service.
const INSTALL = `
set -e
export DEBIAN_FRONTEND=noninteractive
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  trap 'rm -f "$guard"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '#!/bin/sh\\nexit 101\\n' > "$guard"
  chmod 755 "$guard"
fi
apt-get install -y -qq --no-install-recommends "$@"
case " $* " in
  *' docker-registry '*)
    if [ -d /run/systemd/system ]; then systemctl disable docker-registry.service || :; fi
    if [ -e /etc/init.d/docker-registry ]; then update-rc.d docker-registry disable || :; fi ;;
esac`

function hasLibrary(name) {
  const folders = ['/lib', '/usr/lib', '/lib64', '/usr/lib64', '/usr/local/lib']
  return folders
    .filter(folder => existsSync(folder))
    .some(folder => {
      if (existsSync(`${folder}/${name}`)) return true
      // Debian keeps libraries one level down, in a folder named after the architecture.
      return readdirSync(folder, { withFileTypes: true }).some(
        entry => entry.name.includes('-linux-gnu') && existsSync(`${folder}/${entry.name}/${name}`),
      )
    })
}
