/** Whether this machine and this user can mount. Nothing is mounted and nothing is changed. */
import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { loadLibfuse3 } from '../../fs/fuse/libfuse3.js'
import { look } from './check.js'
import type { Finding, Say } from './check.js'

/** Where things are; tests put others in their place. */
export interface SystemPlaces {
  readonly device: string
  readonly fuseConf: string
  readonly limits: string
  readonly path: string
  readonly isRoot: boolean
  readonly threadPool: string | undefined
  readonly nodeVersion: string
}

export function systemPlaces(): SystemPlaces {
  return {
    device: '/dev/fuse',
    fuseConf: '/etc/fuse.conf',
    limits: '/proc/self/limits',
    path: process.env['PATH'] ?? '',
    isRoot: process.getuid?.() === 0,
    threadPool: process.env['UV_THREADPOOL_SIZE'],
    nodeVersion: process.versions.node,
  }
}

const SETUID = 0o4000
/** A registry under load has some hundred files and connections open. */
const ENOUGH_FILES = 4096
const ENOUGH_THREADS = 8

export async function checkSystem(
  say: Say,
  places: SystemPlaces,
  { allowOther }: { readonly allowOther: boolean },
): Promise<void> {
  await look(say, 'Node.js', 'install Node.js 20.19 or newer', async () => nodeVersion(places))
  await look(
    say,
    '/dev/fuse',
    'load the module (modprobe fuse); in a container: --device /dev/fuse --cap-add SYS_ADMIN',
    async () => {
      await access(places.device, constants.R_OK | constants.W_OK)
      return 'is there and can be opened'
    },
  )
  await look(say, 'libfuse3', 'install the package fuse3 (Debian, RHEL, Alpine)', async () => {
    await loadLibfuse3()
    return 'can be loaded'
  })
  await look(say, 'fusermount3', 'install the package fuse3 (Debian, RHEL, Alpine)', () =>
    fusermount(places),
  )
  await look(say, 'user_allow_other', `add a line user_allow_other to ${places.fuseConf}`, () =>
    userAllowOther(places, allowOther),
  )
  await look(say, 'open files', 'raise it: ulimit -n, or LimitNOFILE= in a unit', () =>
    openFiles(places),
  )
  await look(say, 'thread pool', '', async () => threadPool(places))
}

function nodeVersion({ nodeVersion }: SystemPlaces): string | Omit<Finding, 'check'> {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return `version ${nodeVersion}`
  throw new Error(`version ${nodeVersion} is too old`)
}

async function fusermount({ path, isRoot }: SystemPlaces): Promise<Omit<Finding, 'check'>> {
  for (const folder of path.split(delimiter)) {
    const file = join(folder, 'fusermount3')
    const stats = await stat(file).catch(() => undefined)
    if (stats === undefined) continue
    if (isRoot || ((stats.mode & SETUID) !== 0 && stats.uid === 0)) {
      return { status: 'ok', detail: file }
    }
    const advice = `chown root ${file} && chmod u+s ${file}`
    return { status: 'fail', detail: `${file} is not setuid root: only root can mount`, advice }
  }
  throw new Error('is not in the PATH')
}

async function userAllowOther(
  { fuseConf, isRoot }: SystemPlaces,
  allowOther: boolean,
): Promise<Omit<Finding, 'check'>> {
  if (isRoot) return { status: 'ok', detail: 'not needed: root may use allow_other' }
  const text = await readFile(fuseConf, 'utf8').catch(() => '')
  if (/^\s*user_allow_other\s*$/m.test(text)) return { status: 'ok', detail: `set in ${fuseConf}` }
  const detail = `not set in ${fuseConf}: allow_other works for root alone`
  const advice = `if others shall use your mounts, add a line user_allow_other to ${fuseConf}`
  return { status: allowOther ? 'fail' : 'ok', detail, ...(allowOther ? { advice } : {}) }
}

async function openFiles({ limits }: SystemPlaces): Promise<string | Omit<Finding, 'check'>> {
  const text = await readFile(limits, 'utf8')
  const soft = /^Max open files\s+(\S+)/m.exec(text)?.[1] ?? '?'
  if (soft === 'unlimited' || Number(soft) >= ENOUGH_FILES) return `up to ${soft}`
  const advice = 'raise it: ulimit -n 65536, or LimitNOFILE=65536 in a unit'
  return { status: 'warn', detail: `only ${soft} at once`, advice }
}

function threadPool({ threadPool }: SystemPlaces): string | Omit<Finding, 'check'> {
  if (Number(threadPool ?? 0) >= ENOUGH_THREADS) return `${threadPool ?? ''} threads`
  const detail = `UV_THREADPOOL_SIZE is ${threadPool ?? 'not set'}`
  return { status: 'warn', detail, advice: 'unset it: bosmount chooses 16 by itself' }
}
