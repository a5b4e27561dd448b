/**
 * The place of a mount, before and after: checks that explain what libfuse does not, the removal of
 * a dead mount, and unmounting.
 *
 * Nothing here may touch a mount point synchronously, since it may be a mount that this very process
 * serves; and every wait has a deadline, since it may be one that nobody serves.
 */
import { execFile } from 'node:child_process'
import { access, constants, readFile, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, join, basename, delimiter } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ERRNO, ErrnoError } from '../../util/errno.js'
import type { Milliseconds } from '../../util/units.js'
import { isPermissionError, type Libfuse3 } from './libfuse3.js'

const DEVICE = '/dev/fuse'
const FUSE_CONF = '/etc/fuse.conf'
const HELPER = 'fusermount3'
/** Where mount points are looked at: a dead server answers at once, one that hangs not at all. */
const LOOK_DEADLINE: Milliseconds = 10_000
const UNMOUNT_DEADLINE: Milliseconds = 30_000

const run = promisify(execFile)

interface SystemError extends Error {
  readonly code?: string | number
  readonly stderr?: string
}

function codeOf(error: unknown): string | number | undefined {
  return error instanceof Error ? (error as SystemError).code : undefined
}

async function withDeadline<T>(work: Promise<T>, what: string): Promise<T> {
  const timer = new AbortController()
  const late = delay(LOOK_DEADLINE, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new ErrnoError('ETIMEDOUT', `${what} does not answer`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
    late.catch(() => undefined)
  }
}

/**
 * Makes a mount point ready: an existing directory, on which no dead mount is left.
 * @returns its absolute path without symlinks
 * @throws Error that says what is wrong with it
 */
export async function prepareMountpoint(libfuse3: Libfuse3, mountpoint: string): Promise<string> {
  try {
    return await resolveDirectory(mountpoint)
  } catch (error) {
    if (!isDead(error)) throw explained(error, mountpoint)
  }
  // Its server is gone, so nothing can be lost; who still has files open there keeps an error.
  const path = join(await realpath(dirname(mountpoint)), basename(mountpoint))
  await unmount(libfuse3, path, { lazy: true })
  return resolveDirectory(path).catch((error: unknown) => {
    throw explained(error, mountpoint)
  })
}

/**
 * Unmounts a mount whose session has broken, if it is there and dead. Failing that is no error: the
 * place is as it was.
 */
export async function removeDeadMount(libfuse3: Libfuse3, path: string): Promise<void> {
  try {
    await withDeadline(statfs(path), path)
  } catch (error) {
    if (isDead(error)) await unmount(libfuse3, path, { lazy: true }).catch(() => undefined)
  }
}

/** ECONNABORTED while the kernel is still taking the connection down. */
function isDead(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOTCONN' || code === 'ECONNABORTED'
}

async function resolveDirectory(mountpoint: string): Promise<string> {
  const found = await withDeadline(stat(mountpoint), mountpoint)
  // What stat says may be remembered from when a dead mount was alive; statfs always asks.
  await withDeadline(statfs(mountpoint), mountpoint)
  if (!found.isDirectory()) throw new ErrnoError('ENOTDIR', mountpoint)
  return withDeadline(realpath(mountpoint), mountpoint)
}

function explained(error: unknown, mountpoint: string): Error {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist; create the directory first',
    ENOTDIR: 'is not a directory',
    EACCES: 'may not be accessed by this user',
    ENOTCONN: 'holds a dead mount that could not be removed; unmount it as root (umount -l)',
    ETIMEDOUT: 'does not answer; is it a mount whose server hangs?',
  }
  const code = String(codeOf(error))
  return new Error(`mount point ${mountpoint} ${reasons[code] ?? `cannot be used (${code})`}`, {
    cause: error,
  })
}

/**
 * Checks what a mount needs of the system, as far as that can be known before.
 * @throws Error that says what to install or to allow
 */
export async function checkSystem(options: { readonly allowOther: boolean }): Promise<void> {
  await access(DEVICE, constants.R_OK | constants.W_OK).catch((error: unknown) => {
    throw new Error(
      codeOf(error) === 'ENOENT'
        ? `there is no ${DEVICE}: load the kernel module (modprobe fuse); in a container allow the device (--device ${DEVICE})`
        : `${DEVICE} may not be opened: it should have mode 0666 (chmod 666 ${DEVICE}, or let udev do that)`,
      { cause: error },
    )
  })
  if (!(await isInstalled(HELPER))) {
    throw new Error(`${HELPER} is not installed: apt-get install fuse3, or dnf install fuse3`)
  }
  if (options.allowOther && process.geteuid?.() !== 0 && !(await mayAllowOther())) {
    throw new Error(`allow_other needs a line "user_allow_other" in ${FUSE_CONF}, or root`)
  }
}

async function isInstalled(program: string): Promise<boolean> {
  // libfuse looks where it was configured to first, which is one of the usual places.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin']
  for (const folder of folders.filter(Boolean)) {
    try {
      await access(join(folder, program), constants.X_OK)
      return true
    } catch {
      continue
    }
  }
  return false
}

async function mayAllowOther(): Promise<boolean> {
  try {
    return /^\s*user_allow_other\s*$/m.test(await readFile(FUSE_CONF, 'utf8'))
  } catch {
    return false
  }
}

/** What to tell when everything looked right and libfuse failed nevertheless. */
export async function explainFailure(mountpoint: string, cause: unknown): Promise<Error> {
  const advice =
    process.geteuid?.() === 0
      ? 'in a container mounting needs --cap-add SYS_ADMIN'
      : (await isWritable(mountpoint))
        ? `${HELPER} must be set-user-id root, and at most mount_max mounts may exist (${FUSE_CONF})`
        : 'a user may mount only on a directory that he may write'
  return new Error(`cannot mount on ${mountpoint}: ${HELPER} refused; ${advice}`, { cause })
}

async function isWritable(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  )
}

/**
 * Unmounts, as root by umount2(2), else through fusermount3, in either case off the main thread:
 * the kernel may ask for things before it lets go.
 * A place where nothing is mounted any longer is no error.
 * @throws ErrnoError EBUSY while files are open there, unless `lazy`
 */
export async function unmount(
  libfuse3: Libfuse3,
  path: string,
  options: { readonly lazy: boolean },
): Promise<void> {
  const result = process.geteuid?.() === 0 ? await libfuse3.unmount(path, options) : -ERRNO.EPERM
  if (result >= 0 || result === -ERRNO.EINVAL || result === -ERRNO.ENOENT) return
  if (result === -ERRNO.EBUSY) throw busy(path)
  if (!isPermissionError(result)) {
    throw new Error(`umount2 of ${path} failed with errno ${-result}`)
  }
  await unmountByHelper(path, options)
}

async function unmountByHelper(path: string, { lazy }: { readonly lazy: boolean }): Promise<void> {
  const args = ['-u', ...(lazy ? ['-z'] : []), '--', path]
  try {
    await run(HELPER, args, { timeout: UNMOUNT_DEADLINE, env: { ...process.env, LC_ALL: 'C' } })
  } catch (error) {
    const said = ((error as SystemError).stderr ?? '').trim()
    if (/busy/i.test(said)) throw busy(path, error)
    if (/not found in|not mounted|no such file/i.test(said)) return
    throw new Error(`${HELPER} could not unmount ${path}: ${said}`, { cause: error })
  }
}

function busy(path: string, cause?: unknown): ErrnoError {
  return new ErrnoError('EBUSY', `${path} is in use: files are open or a program works there`, {
    cause,
  })
}
