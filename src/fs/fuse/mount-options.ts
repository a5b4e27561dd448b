/**
 * Mount options as libfuse3 and fusermount3 read them: `name` or `name=value`, separated by commas.
 * Pure.
 *
 * @see mount.fuse3(8); escapes as in fuse_opt.h: a backslash takes the next character as it is
 */
import type { BindingOptions } from '../binding.js'

const DEFAULT_SUBTYPE = 'bosmount'

/** A comma and a backslash in a value; a control character would break /proc/mounts' readers. */
function escapeValue(value: string): string {
  return value.replaceAll(/[\\,]/g, character => `\\${character}`)
}

/**
 * @throws TypeError for an option that could not be told from another
 */
export function formatMountOptions(options: BindingOptions): string {
  const { source, subtype = DEFAULT_SUBTYPE, mountOptions = [] } = options
  // eslint-disable-next-line no-control-regex
  if (source === '' || /[\0\n]/.test(source)) {
    throw new TypeError(`not usable as the source of a mount: ${JSON.stringify(source)}`)
  }
  if (!/^[\w.-]+$/.test(subtype)) throw new TypeError(`not a file system type: ${subtype}`)
  for (const option of mountOptions) {
    if (!/^[^,\\\s]+$/.test(option)) throw new TypeError(`not one mount option: ${option}`)
  }
  return [
    `fsname=${escapeValue(source)}`,
    `subtype=${subtype}`,
    // After a crash the mount point is free again.
    'auto_unmount',
    ...(options.readOnly === true ? ['ro'] : []),
    ...(options.allowOther === true ? ['allow_other'] : []),
    ...((options.defaultPermissions ?? true) ? ['default_permissions'] : []),
    // Before the caller's own, which may ask for `suid` or `dev`.
    'nosuid',
    'nodev',
    ...mountOptions,
  ].join(',')
}

/** Whether set-user-id bits mean nothing on the mount; the last option of a kind holds. */
export function isNoSetuid(options: BindingOptions): boolean {
  const last = options.mountOptions?.findLast(option => option === 'suid' || option === 'nosuid')
  return last !== 'suid'
}
