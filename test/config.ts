import t from 'tap'
import { ConfigError, resolveConfig, type Sources } from '../src/config.js'

function resolve(sources: Partial<Sources>): Readonly<Record<string, unknown>> {
  return resolveConfig({ flags: {}, mountOptions: [], environment: {}, ...sources }).bos
}

function mistakesOf(sources: Partial<Sources>): readonly string[] {
  try {
    resolve(sources)
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return []
}

const ENVIRONMENT = { BCE_ACCESS_KEY_ID: 'env-id', BCE_SECRET_ACCESS_KEY: 'env-secret' }

void t.test('the strongest source of an option wins', async t => {
  const file = { name: 'f.yml', content: { bos: { region: 'file', bucket: 'file', chunksize: 1 } } }
  const environment = { REGISTRY_STORAGE_BOS_REGION: 'env', REGISTRY_STORAGE_BOS_BUCKET: 'env' }
  const mountOptions = ['region=option,bucket=option']
  t.match(resolve({ file }), { region: 'file', bucket: 'file', chunksize: 1 })
  t.match(resolve({ file, environment }), { region: 'env', bucket: 'env', chunksize: 1 })
  t.match(resolve({ file, environment, mountOptions }), { region: 'option', bucket: 'option' })
  t.match(resolve({ file, environment, mountOptions, flags: { bucket: 'flag' } }), {
    region: 'option',
    bucket: 'flag',
  })
})

void t.test('the strongest source with credentials decides where they come from', async t => {
  const keys = { accesskeyid: 'env-id', accesskeysecret: 'env-secret' }
  const credentialsFile = '/home/me/.go-bcecli/credentials'
  const file = { name: 'f.yml', content: { credentialscommand: 'print' } }
  t.same(resolve({ credentialsFile }), { credentialsfile: credentialsFile })
  t.same(resolve({ credentialsFile, file }), { credentialscommand: 'print' })
  t.same(resolve({ credentialsFile, file, environment: ENVIRONMENT }), keys)
  const mountOptions = ['credentials-file=/etc/c']
  const all = { credentialsFile, file, environment: ENVIRONMENT, mountOptions }
  t.same(resolve(all), { credentialsfile: '/etc/c' })
})

void t.test('two ways in one source are left to the driver, which refuses them', async t => {
  const environment = { ...ENVIRONMENT, REGISTRY_STORAGE_BOS_CREDENTIALSFILE: '/c' }
  t.match(resolve({ environment }), { accesskeyid: 'env-id', credentialsfile: '/c' })
})

void t.test('parameters of the S3 driver in a registry section reach the driver', async t => {
  const content = { storage: { bos: { bucket: 'b', v4auth: true }, delete: { enabled: true } } }
  t.same(resolve({ file: { name: 'config.yml', content } }), { bucket: 'b', v4auth: true })
  const own = { name: 'f.yml', content: { v4auth: true } }
  t.match(mistakesOf({ file: own }), [/f.yml: unknown option 'v4auth'/])
})

void t.test('options have their names with underscores and their other names', async t => {
  t.match(resolve({ mountOptions: ['ca_file=/ca.pem,skipverify'] }), {
    cafile: '/ca.pem',
    skipverify: true,
  })
})

void t.test('what may hold a secret is not taken from the command line', async t => {
  for (const option of ['accesskeysecret=x', 'sessiontoken=x', 'proxy=http://u:hidden@h']) {
    const [mistake = ''] = mistakesOf({ mountOptions: [option] })
    t.match(mistake, /not taken from the command line/)
    t.notMatch(mistake, /hidden/)
  }
})
