/** `bosmount config`, and what is said when settings are wrong. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { OPTIONS } from '../../../src/config.js'
import { environment, SECRET_ACCESS_KEY } from '../../helpers/bosmount.js'
import { CliSession } from '../../helpers/cli-session.js'
import { scratchFolder } from '../../helpers/scratch.js'

const session = new CliSession(t, environment({ HOME: '/nonexistent' }))

/** As distribution's documentation has it, with sections that concern only the registry. */
const REGISTRY_YML = `
version: 0.1
log: { level: info, fields: { service: registry } }
storage:
  bos:
    accesskeyid: id-of-the-file
    accesskeysecret: "${SECRET_ACCESS_KEY}-2"
    region: gz
    bucket: images
    chunksize: 20971520
    rootdirectory: /registry
  delete: { enabled: true }
  redirect: { disable: false }
  cache: { blobdescriptor: inmemory }
  maintenance: { uploadpurging: { enabled: true, age: 168h } }
http: { addr: ":5000", secret: another-secret }
health: { storagedriver: { enabled: true, interval: 10s } }
`

void t.test('every setting is shown with its source, and no secret', async t => {
  const args = [
    'config',
    'my-bucket/dir',
    '--region',
    'su',
    '-o',
    'metadata_ttl=5m,ro,dmask=027',
    '--json',
  ]
  const finished = await session.run(args, { BOSMOUNT_FILE_MODE: '600' })
  t.equal(finished.code, 0, finished.stderr)
  const settings = JSON.parse(finished.text) as Record<string, { value: string; source: string }>
  t.same(Object.keys(settings).sort(), OPTIONS.map(({ name }) => name).sort())
  t.match(settings, {
    bucket: { value: 'my-bucket', source: '--bucket' },
    rootdirectory: { value: 'dir' },
    region: { value: 'su', source: '--region' },
    endpoint: { value: 'https://su.bcebos.com', source: 'default' },
    accesskeysecret: { value: '[secret]', source: 'environment BCE_SECRET_ACCESS_KEY' },
    'metadata-ttl': { value: '300s', source: '-o metadata_ttl' },
    'read-only': { value: 'true', source: '-o ro' },
    'file-mode': { value: '0600', source: 'environment BOSMOUNT_FILE_MODE' },
    chunksize: { value: '10 MiB', source: 'default' },
    uid: { value: String(process.getuid?.()), source: 'default' },
    'dir-mode': { value: '0750', source: '-o dmask' },
    'cache-memory': { value: /^[\d.]+ MiB$/, source: 'default' },
  })
  t.notOk(finished.text.includes(SECRET_ACCESS_KEY))
  const text = await session.run(args.slice(0, -1))
  t.match(text.text, /^region +su +--region$/m)
  t.notOk(text.text.includes(SECRET_ACCESS_KEY))
})

void t.test("a registry's own config.yml is taken as it is", async t => {
  const file = join(scratchFolder(t), 'config.yml')
  writeFileSync(file, REGISTRY_YML, { mode: 0o600 })
  const finished = await session.run(['config', '--config', file, '--json'], {
    BCE_ACCESS_KEY_ID: undefined,
    BCE_SECRET_ACCESS_KEY: undefined,
  })
  t.equal(finished.code, 0, finished.stderr)
  t.equal(finished.stderr, '')
  t.match(JSON.parse(finished.text), {
    accesskeyid: { value: 'id-of-the-file', source: file },
    bucket: { value: 'images' },
    endpoint: { value: 'https://gz.bcebos.com', source: 'default' },
    chunksize: { value: '20 MiB' },
    rootdirectory: { value: 'registry' },
  })
  t.notOk(finished.text.includes(SECRET_ACCESS_KEY))
})

void t.test('all mistakes are told at once, each with its source and what was meant', async t => {
  const folder = scratchFolder(t)
  const file = join(folder, 'the.yml')
  writeFileSync(file, 'cache-memry: 1g\nread-ahead: much\nbos: { bukcet: b, secretkey: x }\n')
  const wrong = ['--regoin', 'bj', '--uid', 'root', '-o', 'chunksiz=1,sk=x', '--chunksize', '1m']
  for (const start of [
    ['config', 'my-bucket'],
    ['mount', 'my-bucket', '/tmp', '-f'],
  ]) {
    const finished = await session.run([...start, ...wrong, '--config', file], {
      BOSMOUNT_DIR_MODE: '9',
    })
    t.equal(finished.code, 2)
    for (const line of [
      'unknown option --regoin; did you mean --region?',
      "-o: unknown option 'chunksiz'; did you mean 'chunksize'?",
      '-o: sk: keys are not taken from the command line or fstab',
      `${file}: unknown option 'cache-memry'; did you mean 'cache-memory'?`,
      'uid: a whole number is needed, not "root" (--uid)',
      'dir-mode: an octal mode such as 0644 is needed, not "9" (environment BOSMOUNT_DIR_MODE)',
      `read-ahead: a size such as 64m or 1GiB is needed, not "much" (${file})`,
      `parameter "bukcet" is not known: did you mean bucket? (${file})`,
      `parameter secretkey of the S3 driver: it is called accesskeysecret here (${file})`,
      'region is missing',
      'chunksize 1048576 is too small',
    ]) {
      t.ok(finished.stderr.includes(line), `${start[0]}: ${line}`)
    }
    t.match(finished.stderr, /chunksize 1048576 .*\(--chunksize\)/)
  }
})

void t.test('a misspelt flag of any command is told with the one that was meant', async t => {
  const finished = await session.run(['ls', 'bucket', '--recursiv', '--jsno'])
  t.equal(finished.code, 2)
  t.match(finished.stderr, /unknown option --recursiv; did you mean --recursive\?/)
  t.match(finished.stderr, /unknown option --jsno; did you mean --json\?/)
})
