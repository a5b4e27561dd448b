import { inspect } from 'node:util'
import t from 'tap'
import { openBosDriver } from '../../../src/driver/bos/driver.js'
import { chooseProxy, type Environment } from '../../../src/driver/bos/proxy.js'
import { Secret } from '../../../src/util/secret.js'
import { Authority } from '../certificates.js'
import { startProxy, terminateTls } from '../forwarders.js'
import { bytes, failure } from '../helpers.js'
import { startDriverHarness } from './harness.js'

const PROXY = 'http://proxy:3128'
const BJ = 'https://bucket.bj.bcebos.com'

const CHOICES: readonly (readonly [origin: string, Environment, string | undefined])[] = [
  [BJ, {}, undefined],
  [BJ, { HTTPS_PROXY: PROXY }, PROXY],
  [BJ, { https_proxy: PROXY, HTTPS_PROXY: 'http://other:1' }, PROXY],
  [BJ, { HTTPS_PROXY: 'proxy:3128' }, PROXY],
  [BJ, { HTTPS_PROXY: 'socks5://proxy:1080' }, undefined],
  [BJ, { http_proxy: PROXY }, undefined],
  ['http://store.example.com', { http_proxy: PROXY }, PROXY],
  ['http://store.example.com', { HTTP_PROXY: PROXY }, undefined],
  [BJ, { HTTPS_PROXY: PROXY, NO_PROXY: '*' }, undefined],
  [BJ, { HTTPS_PROXY: PROXY, NO_PROXY: 'a.com, bcebos.com' }, undefined],
  [BJ, { HTTPS_PROXY: PROXY, no_proxy: '.bcebos.com' }, undefined],
  [BJ, { HTTPS_PROXY: PROXY, NO_PROXY: 'ebos.com' }, PROXY],
  [BJ, { HTTPS_PROXY: PROXY, NO_PROXY: 'bcebos.com:8443' }, PROXY],
  [BJ, { HTTPS_PROXY: PROXY, NO_PROXY: 'bcebos.com:443' }, undefined],
  ['https://10.1.2.3', { HTTPS_PROXY: PROXY, NO_PROXY: '10.0.0.0/8' }, undefined],
  ['https://11.1.2.3', { HTTPS_PROXY: PROXY, NO_PROXY: '10.0.0.0/8' }, PROXY],
  ['https://11.1.2.3', { HTTPS_PROXY: PROXY, NO_PROXY: '10.0.0.0/99' }, PROXY],
  ['https://[fd00::1]', { HTTPS_PROXY: PROXY, NO_PROXY: 'fd00::1' }, undefined],
  ['https://127.0.0.1:8010', { HTTPS_PROXY: PROXY }, undefined],
  ['https://localhost:8010', { HTTPS_PROXY: PROXY }, undefined],
]

void t.test('the environment is read as curl and Go read it', async t => {
  for (const [origin, environment, expected] of CHOICES) {
    const chosen = chooseProxy(origin, { environment })
    t.equal(chosen?.reveal(), expected, `${origin} ${JSON.stringify(environment)}`)
  }
  const proxy = new Secret('http://mine:1')
  const environment = { HTTPS_PROXY: PROXY, NO_PROXY: '*' }
  t.equal(chooseProxy(BJ, { proxy, environment }), proxy, 'the parameter is stronger')
})

void t.test('requests go through the proxy, encrypted to the endpoint', async t => {
  const harness = await startDriverHarness(t)
  const authority = new Authority(t)
  const port = await terminateTls(t, authority.issue('DNS:localhost'), harness.server.url)
  const proxy = await startProxy(t)
  const parameters = harness.parameters({
    endpoint: `https://localhost:${port}`,
    cafile: authority.certificateFile,
    proxy: `http://user:proxysecret@127.0.0.1:${proxy.port}`,
  })
  const driver = await openBosDriver(parameters)
  await driver.putContent('/through', bytes(100_000))
  t.same(await driver.getContent('/through'), bytes(100_000))
  await driver.close()
  const authorization = `Basic ${Buffer.from('user:proxysecret').toString('base64')}`
  t.match(proxy.asked[0], { target: `localhost:${port}`, authorization })
  t.notMatch(inspect([parameters, driver], { depth: 9, showHidden: true }), /proxysecret/)
})

void t.test(
  'a proxy that cannot be reached is a connection failure without its password',
  async t => {
    const harness = await startDriverHarness(t)
    const parameters = harness.parameters({ proxy: 'http://user:proxysecret@127.0.0.1:9' })
    const error = await failure(openBosDriver(parameters, { retry: { attempts: 1 } }))
    t.match(error, { message: /cannot reach/ })
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), /proxysecret/)
  },
)
