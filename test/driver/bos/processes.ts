/** What one process leaves unfinished, another one goes on with. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'
import { MiB } from '../../../src/util/units.js'
import { projectPath } from '../../helpers/project.js'
import { bytes } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const SIZE = 6 * MiB

/** Writes and closes without commit. */
const WRITER = `
import { createBosDriver } from ${JSON.stringify(projectPath('dist/src/driver/bos/driver.js'))}
import { parseBosParameters } from ${JSON.stringify(projectPath('dist/src/driver/parameters.js'))}
import { bytes } from ${JSON.stringify(projectPath('dist/test/driver/helpers.js'))}
const driver = createBosDriver(parseBosParameters(JSON.parse(process.env.PARAMETERS)))
const writer = await driver.writer('/image')
await writer.write(bytes(${SIZE}, 1))
await writer.close()
await driver.close()
`

void t.test('an append goes on with the upload of a process that has ended', async t => {
  const { driver, parameters, log } = await startDriverHarness(t)
  const { endpoint, bucket, accesskeyid, accesskeysecret } = parameters()
  const given = {
    endpoint,
    bucket,
    accesskeyid,
    accesskeysecret: accesskeysecret?.reveal(),
    chunksize: '5m',
  }
  const env = { ...process.env, PARAMETERS: JSON.stringify(given) }
  const options = { env, timeout: 30_000 }
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', WRITER], options)

  const store = await driver()
  t.same(await store.list('/'), [], 'nothing shows yet')
  log.length = 0
  const writer = await store.writer('/image', { append: true })
  t.equal(writer.size, SIZE)
  await writer.write(bytes(100, 2))
  await writer.commit()
  await writer.close()
  const whole = Buffer.concat([bytes(SIZE, 1), bytes(100, 2)])
  t.ok((await store.getContent('/image')).equals(whole))
  t.notOk(
    log.some(entry => entry.operation === 'InitiateMultipartUpload'),
    'it was the same upload',
  )
  for await (const upload of store.uploads('/')) t.fail(`left over: ${upload.uploadId}`)
})
