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

/** What to say instead of options that bosfs, s3fs, rclone, Mountpoint for S3 and JuiceFS have. */
const INSTEAD: Readonly<Record<string, string>> = {
  ...named('credentialsfile=FILE', 'passwd_file credentials'),
  ...named('endpoint=URL', 'url host endpoint_url'),
  ...named('cache_dir=DIR', 'use_cache cache'),
  ...named('cache_size=SIZE', 'max_cache_size vfs_cache_max_size'),
  ...named('staging_dir=DIR', 'tmpdir writeback_cache'),
  ...named(
    'metadata_ttl=TIME',
    'stat_cache_expire meta_expires attr_timeout entry_timeout dir_cache_time attr_cache entry_cache',
  ),
  ...named('maxthreads=N', 'parallel_count multireq_max transfers max_threads'),
  ...named('chunksize=SIZE', 'multipart_size part_size write_part_size'),
  ...named('maxretries=N', 'retries'),
  ...named('read_ahead=SIZE', 'readahead vfs_read_ahead buffer_size'),
  ...named('log_level=debug', 'debug dbglevel loglevel verbose'),
  ...named('log_file=FILE', 'logfile'),
  prefix: 'say BUCKET/PREFIX instead of BUCKET',
  daemon: 'the mount goes to the background by itself; -f keeps it in the foreground',
  d: 'the mount goes to the background by itself; log_level=debug tells every request',
  allow_root: 'there is allow_other only',
  remount: 'unmount, and mount again with the other options',
  ...alike(
    'files can be replaced and deleted unless the mount is ro',
    'allow_delete allow_overwrite',
  ),
  ...alike(
    'which files go past the page cache, and by requests of which size, is decided for each',
    'kernel_cache auto_cache direct_io max_read max_write vfs_cache_mode',
  ),
}

function named(option: string, keys: string): Record<string, string> {
  return alike(`say ${option}`, keys)
}

function alike(text: string, keys: string): Record<string, string> {
  return Object.fromEntries(keys.split(' ').map(key => [key, text]))
}

/** Why an option of other tools is not taken, and what to do instead. */
function refusal(key: string): string | undefined {
  if (SECRETS.includes(key)) {
    return (
      `${key}: keys are not taken from the command line or fstab, where everybody can read them; set ` +
      'BCE_ACCESS_KEY_ID and BCE_SECRET_ACCESS_KEY, or credentialsfile=FILE'
    )
  }
  return Object.hasOwn(INSTEAD, key) ? `${key}: ${INSTEAD[key] ?? ''}` : undefined
}
