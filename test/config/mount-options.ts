/** Options that people bring from mount(8), fstab, systemd and other tools. */
import t from 'tap'
import { ConfigError, resolveConfig } from '../../src/config.js'
import type { MountConfig } from '../../src/config.js'

function resolve(...mountOptions: string[]): MountConfig {
  return resolveConfig({ flags: {}, mountOptions, environment: {} })
}

function mistake(option: string): string {
  try {
    resolve(option)
    return ''
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.join('\n')
    throw error
  }
}

void t.test('what mount(8), fstab and systemd use among themselves changes nothing', t => {
  const line =
    'rw,relatime,noatime,nodev,nosuid,_netdev,nofail,auto,noauto,user,users,user=me,defaults,' +
    'default_permissions,x-systemd.automount,x-systemd.requires=network-online.target,X-mount.mkdir'
  const { kernelOptions, ...rest } = resolve(line)
  const { kernelOptions: none, ...plain } = resolve()
  t.same(none, [])
  t.same(rest, plain)
  t.same(kernelOptions, ['noatime', 'nodev', 'nosuid'])
  t.end()
})

void t.test('flags of the kernel go to the kernel in their order', t => {
  const flags = ['dev', 'nodev', 'suid', 'nosuid', 'exec', 'noexec', 'sync', 'noatime']
  t.same(resolve(flags.join(',')).kernelOptions, flags)
  t.end()
})

void t.test('the last of ro and rw counts', t => {
  t.equal(resolve('ro').readOnly, true)
  t.equal(resolve('ro,rw').readOnly, false)
  t.equal(resolve('rw', 'ro').readOnly, true)
  t.end()
})

void t.test('owner and masks are taken as vfat and sshfs have them', t => {
  t.match(resolve('uid=33,gid=44,allow_other'), { uid: 33, gid: 44, allowOther: true })
  t.match(resolve('umask=027'), { fileMode: 0o640, directoryMode: 0o750 })
  t.match(resolve('fmask=0133'), { fileMode: 0o644, directoryMode: 0o755 })
  t.match(resolve('dmask=077'), { fileMode: 0o644, directoryMode: 0o700 })
  t.match(resolve('umask=000,file_mode=0600'), { fileMode: 0o600, directoryMode: 0o777 })
  for (const wrong of ['umask', 'umask=8', 'umask=', 'umask=u=rwx']) {
    t.match(mistake(wrong), /umask: an octal mask/, wrong)
  }
  t.end()
})

void t.test(
  'keys and secrets of other tools are refused, with a reason and without their value',
  t => {
    for (const key of [
      'ak',
      'sk',
      'access_key',
      'secret_key',
      'passwd',
      'token',
      'security_token',
    ]) {
      const said = mistake(`${key}=a-secret-value`)
      t.match(said, new RegExp(`${key}: keys are not taken from the command line or fstab`), key)
      t.match(said, /credentialsfile=FILE/)
      t.notMatch(said, /a-secret-value/)
    }
    t.match(mistake('passwd_file=/etc/passwd-s3fs'), /credentialsfile=FILE/)
    t.match(mistake('allow_root'), /allow_other/)
    t.match(mistake('stat_cache_expire'), /say metadata_ttl=TIME/)
    t.match(mistake('use_cache'), /say cache_dir=DIR/)
    t.match(mistake('url=http://x'), /endpoint=URL/)
    t.end()
  },
)

void t.test('a misspelt option is told with the one that was meant', t => {
  t.match(mistake('alow_other'), /unknown option 'alow_other'; did you mean 'allow-other'/)
  t.end()
})
