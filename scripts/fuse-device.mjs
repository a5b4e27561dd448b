/** Makes /dev/fuse usable, as udev would on a machine that has it; never a reason to skip a test. */
import { accessSync, chmodSync, constants, existsSync, statSync } from 'node:fs'
import { findProgram, run, SetupError } from './steps.mjs'

const DEVICE = '/dev/fuse'

/**
 * @param forEveryone Other users are to mount as well (the tests do that).
 * @throws SetupError that says what to do
 */
export async function ensureFuseDevice({ forEveryone }) {
  const isRoot = process.getuid?.() === 0
  if (!existsSync(DEVICE)) await createDevice(isRoot)
  if (isRoot) {
    if (forEveryone && (statSync(DEVICE).mode & 0o666) !== 0o666) {
      chmodSync(DEVICE, 0o666)
      console.log(`${DEVICE} was for root only; its mode is now 0666, as udev sets it`)
    }
    return
  }
  try {
    accessSync(DEVICE, constants.R_OK | constants.W_OK)
  } catch {
    throw new SetupError(`${DEVICE} is not open to this user. As root, run: chmod 0666 ${DEVICE}`)
  }
}

async function createDevice(isRoot) {
  const advice =
    'In a container, give it the device: docker run --device /dev/fuse --cap-add SYS_ADMIN …\n' +
    'Otherwise load the kernel module as root: modprobe fuse'
  if (!isRoot) throw new SetupError(`There is no ${DEVICE}.\n${advice}`)
  if (findProgram('modprobe') !== undefined) {
    // It fails where the driver is built in or modules are not ours to load; mknod decides.
    await run('modprobe', ['fuse']).catch(() => undefined)
  }
  if (existsSync(DEVICE)) return
  try {
    await run('mknod', ['-m', '0666', DEVICE, 'c', '10', '229'])
  } catch (error) {
    throw new SetupError(`There is no ${DEVICE} and it cannot be made: ${error.message}\n${advice}`)
  }
  console.log(`made ${DEVICE}`)
}
