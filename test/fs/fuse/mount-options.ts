import t from 'tap'
import { formatMountOptions, isNoSetuid } from '../../../src/fs/fuse/mount-options.js'

await t.test('options are put together, safe ones first', async t => {
  t.equal(
    formatMountOptions({ source: 'bos://bucket' }),
    'fsname=bos://bucket,subtype=bosmount,auto_unmount,default_permissions,nosuid,nodev',
  )
  t.equal(
    formatMountOptions({
      source: 'b',
      subtype: 'x',
      readOnly: true,
      allowOther: true,
      defaultPermissions: false,
      mountOptions: ['noexec', 'suid'],
    }),
    'fsname=b,subtype=x,auto_unmount,ro,allow_other,nosuid,nodev,noexec,suid',
  )
})

await t.test('a source cannot become an option', async t => {
  t.match(formatMountOptions({ source: 'a,suid\\' }), /^fsname=a\\,suid\\\\,subtype/)
  for (const source of ['', 'a\nb', 'a\0b']) {
    t.throws(() => formatMountOptions({ source }), TypeError, JSON.stringify(source))
  }
})

await t.test('what is not one option is refused', async t => {
  for (const option of ['a,b', '', 'a\\', 'a b']) {
    t.throws(() => formatMountOptions({ source: 's', mountOptions: [option] }), TypeError, option)
  }
  t.throws(() => formatMountOptions({ source: 's', subtype: 'a,b' }), TypeError)
})

await t.test('whether set-user-id bits count is known', async t => {
  t.equal(isNoSetuid({ source: 's' }), true)
  t.equal(isNoSetuid({ source: 's', mountOptions: ['suid'] }), false)
  t.equal(isNoSetuid({ source: 's', mountOptions: ['suid', 'nosuid'] }), true)
})
