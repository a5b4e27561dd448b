import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readConfigFile } from '../../src/cli/config-file.js'
import { EXIT } from '../../src/cli/errors.js'
import { resolveConfig } from '../../src/config.js'
import { scratchFolder } from '../helpers/scratch.js'

const SECRET = 'a-secret-that-must-not-be-seen'

void t.test('YAML is read', async t => {
  const name = join(scratchFolder(t), 'the.yml')
  writeFileSync(name, 'bos:\n  bucket: b\n  chunksize: 10485760\nmetadata-ttl: 2s\n')
  chmodSync(name, 0o600)
  t.same(await readConfigFile(name), {
    name,
    content: { bos: { bucket: 'b', chunksize: 10_485_760 }, 'metadata-ttl': '2s' },
  })
})

void t.test('modes are octal however they are written', async t => {
  const folder = scratchFolder(t)
  const name = join(folder, 'the.yml')
  for (const mode of ['0640', '640', '0o640', '"0640"', '"0o640"']) {
    writeFileSync(name, `file-mode: ${mode}\n`)
    const file = await readConfigFile(name)
    const { fileMode } = resolveConfig({ flags: {}, mountOptions: [], environment: {}, file })
    t.equal(fileMode.toString(8), '640', mode)
  }
})

void t.test("what cannot be read is the user's mistake, and no secret is repeated", async t => {
  const folder = scratchFolder(t)
  const name = join(folder, 'the.yml')
  writeFileSync(name, `bos:\n  accesskeysecret: "${SECRET}\n  bucket: [b\n`)
  chmodSync(name, 0o600)
  const failure = await readConfigFile(name).then(
    () => undefined,
    (error: unknown) => error,
  )
  t.match(failure, { exitCode: EXIT.usage, message: /not YAML: \w+ in line \d+/ })
  t.notOk(String(failure).includes(SECRET))
  await t.rejects(readConfigFile(join(folder, 'missing.yml')), {
    exitCode: EXIT.usage,
    message: /missing\.yml: ENOENT/,
  })
  await t.rejects(readConfigFile(folder), { exitCode: EXIT.usage, message: /EISDIR/ })
})
