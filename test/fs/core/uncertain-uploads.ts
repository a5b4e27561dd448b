/** An upload that was begun, for all that is known, and no answer came. */
import { DriverError } from '../../../src/driver/errors.js'
import { MiB } from '../../../src/util/units.js'
import { O_CREAT, O_WRONLY } from '../../helpers/core-os.js'
import { fails, scene } from '../../helpers/core-scene.js'

const BIG = Buffer.alloc(3 * MiB, 'x')

// That no upload is left is what each scene looks for at its end.
scene('an upload that was begun without an answer is aborted at the end', async s => {
  const { t, os, bucket, watch } = s
  let answers = false
  watch.after = ({ method }) => {
    if (method === 'compose' && !answers) throw new DriverError('no answer')
  }
  const file = await os.open('/f', O_WRONLY | O_CREAT)
  await file.write(0, BIG)
  await fails(t, 'EIO', file.fsync())
  answers = true
  await file.fsync()
  await file.close()
  t.ok((await bucket.getContent('/f')).equals(BIG))
  const left = []
  for await (const upload of bucket.uploads('/f')) left.push(upload)
  t.ok(left.length > 0, 'nobody knows of it yet')
})

scene("another host's upload of the same name is spared if it has a part", async s => {
  const { t, os, bucket, watch } = s
  const other = await bucket.compose('/f')
  const part = await other.uploadPart(1, [BIG])
  let answers = false
  watch.after = ({ method }) => {
    if (method === 'compose' && !answers) throw new DriverError('no answer')
  }
  const file = await os.open('/f', O_WRONLY | O_CREAT)
  await file.write(0, BIG)
  await fails(t, 'EIO', file.fsync())
  answers = true
  await file.close()
  await os.fs.destroy()
  await other.complete([part])
  t.ok((await bucket.getContent('/f')).equals(BIG))
})
