import t from 'tap'
import { isMountHelperCall, mountHelperArguments } from '../../src/cli/mount-helper.js'

void t.test('the arguments of mount(8) are turned into our own', t => {
  const table: readonly (readonly [readonly string[], readonly string[]])[] = [
    [
      ['bucket', '/mnt'],
      ['mount', 'bucket', '/mnt'],
    ],
    [
      ['bucket/root', '/mnt', '-o', 'rw,_netdev'],
      ['mount', 'bucket/root', '/mnt', '-o', 'rw,_netdev'],
    ],
    [
      ['bucket', '/mnt', '-sn', '-v', '-o', 'ro', '-t', 'fuse.bosmount', '-N', '/proc/1/ns/mnt'],
      ['mount', 'bucket', '/mnt', '-o', 'ro'],
    ],
    [
      ['-o', 'ro', 'bucket', '/mnt', '-o', 'noexec'],
      ['mount', 'bucket', '/mnt', '-o', 'ro', '-o', 'noexec'],
    ],
    [['bucket', '/mnt', '-f'], ['--version']],
    [['--help'], ['mount', '--help']],
    [['--version'], ['--version']],
    [['-V'], ['--version']],
    [['bucket', '/mnt', '-sfnv', '-o', 'ro'], ['--version']],
    [
      ['bucket', '/mnt', '-o', '-f'],
      ['mount', 'bucket', '/mnt', '-o', '-f'],
    ],
  ]
  for (const [given, expected] of table)
    t.same(mountHelperArguments(given), expected, given.join(' '))
  t.end()
})

void t.test('a call of mount.fuse3(8) is told from a command', t => {
  const isCall = (text: string) => isMountHelperCall(text.split(' '), ['mount', 'ls', 'config'])
  t.ok(isCall('my-bucket /mnt -o rw'))
  t.ok(isCall('bos://my-bucket/root /mnt -o rw'))
  for (const other of [
    'config /mnt -o rw',
    'my-bucket mnt -o rw',
    'my-bucket /mnt -o',
    'my-bucket /mnt',
  ]) {
    t.notOk(isCall(other), other)
  }
  t.notOk(isCall('my-bucket /mnt -o rw -f'))
  t.end()
})
