import t from 'tap'
import { deviceOf, raiseReadahead } from '../../../src/fs/fuse/readahead.js'

const MOUNTINFO = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:44 / /mnt/a\\040b rw,nosuid - fuse.bosmount bos://x rw
41 22 0:45 / /mnt/c rw - fuse.bosmount bos://x rw
42 41 0:46 / /mnt/c rw - fuse.bosmount bos://y rw
43 22 0:47 / /mnt/\xc3\xa9 rw - fuse.bosmount bos://z rw
`

void t.test('the device of a mount is found, of the uppermost where there are several', t => {
  t.equal(deviceOf(MOUNTINFO, '/mnt/a b'), '0:44')
  t.equal(deviceOf(MOUNTINFO, '/mnt/c'), '0:46')
  t.equal(deviceOf(MOUNTINFO, '/mnt/é'), '0:47')
  t.equal(deviceOf(MOUNTINFO, '/mnt'), undefined)
  t.end()
})

void t.test('what is not mounted, or may not be changed, is left as it is', async t => {
  t.notOk(await raiseReadahead('/no/such/mount', 1024 * 1024))
})
