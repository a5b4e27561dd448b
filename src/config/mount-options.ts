/**
 * Mount options that are not of the table: those of mount(8), fstab and systemd, those that libfuse
 * knows, and those that other tools have taught their users to type. Pure.
 *
 * @see mount(8) "FILESYSTEM-INDEPENDENT MOUNT OPTIONS", fstab(5), systemd.mount(5), mount.fuse3(8)
 */

export type Meaning =
  | { readonly kind: 'kernel' | 'ignored' | 'unknown' }
  /** Values of options of the table, by their names. */
  | { readonly kind: 'values'; readonly values: Readonly<Record<string, unknown>> }
  | { readonly kind: 'mistake'; readonly mistake: string }

/** What libfuse makes flags of mount(2) of. */
const KERNEL = ['noexec', 'nosuid', 'nodev', 'exec', 'suid', 'dev', 'noatime', 'dirsync', 'sync']

/**
 * What others act on (mount(8), systemd), what holds anyway (times of reading are not kept, closing
 * waits for BOS, permissions are checked by the kernel), and names that a mount gets without asking.
 */
const IGNORED = [
  '_netdev auto noauto nofail defaults user users owner group nouser nogroup loud silent',
  'async atime diratime nodiratime relatime norelatime strictatime nostrictatime lazytime nolazytime',
  'iversion noiversion mand nomand symfollow comment fsname subtype default_permissions',
  'auto_unmount nonempty big_writes',
].flatMap(line => line.split(' '))

/** Names of keys and secrets in other tools. */
const SECRETS = [
  'ak sk accesskey access_key secretkey secret_key access_key_id secret_access_key',
  'passwd password token security_token sts_token',
].flatMap(line => line.split(' '))

/** Bits of a mode that files and directories have before a mask takes some away. */
const FILE_BITS = 0o666
const DIRECTORY_BITS = 0o777

/** Those worth being offered to whoever types: not what only other programs write. */
export function mountOptionNames(): readonly string[] {
  return ['ro', 'rw', ...KERNEL, '_netdev', 'nofail', 'noauto', 'auto', 'user', 'defaults']
}

/** What one option, `key` or `key=value`, means. A key of the table is `unknown` here. */
export function mountOption(key: string, value: string | true): Meaning {
  if (key === 'ro') return { kind: 'values', values: { 'read-only': true } }
  if (key === 'rw') return { kind: 'values', values: { 'read-only': false } }
  if (/^x-/i.test(key) || IGNORED.includes(key)) return { kind: 'ignored' }
  if (KERNEL.includes(key) && value === true) return { kind: 'kernel' }
  if (/^[udf]mask$/.test(key)) return mask(key, value)
  const mistake = refusal(key)
  return mistake === undefined ? { kind: 'unknown' } : { kind: 'mistake', mistake }
}

/** `umask`, and the masks of files and directories alone that some tools have. */
function mask(key: string, value: string | true): Meaning {
  if (value === true || !/^0?[0-7]{1,3}$/.test(value)) {
    return { kind: 'mistake', mistake: `${key}: an octal mask such as 022 is needed` }
  }
  const bits = Number.parseInt(value, 8)
  const file = { 'file-mode': (FILE_BITS & ~bits).toString(8) }
  const directory = { 'dir-mode': (DIRECTORY_BITS & ~bits).toString(8) }
  if (key === 'fmask') return { kind: 'values', values: file }
  return { kind: 'values', values: key === 'dmask' ? directory : { ...file, ...directory } }
}

/** Why an option of other tools is not taken, and what to do instead. */
function refusal(key: string): string | undefined {
  if (SECRETS.includes(key)) {
    return (
      `${key}: keys are not taken from the command line or fstab, where everybody can read them; set ` +
      'BCE_ACCESS_KEY_ID and BCE_SECRET_ACCESS_KEY, or credentialsfile=FILE'
    )
  }
  if (key === 'passwd_file' || key === 'credentials') {
    return `${key}: say credentialsfile=FILE`
  }
  if (key === 'allow_root') return `${key}: there is allow_other only`
  if (key === 'remount') return 'remount: unmount, and mount again with the other options'
  if (key === 'url' || key === 'host') return `${key}: say endpoint=URL`
  return undefined
}
