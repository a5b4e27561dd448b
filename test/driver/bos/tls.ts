/** Whom the driver trusts, over real TLS in front of the embedded server. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { createBosDriver, openBosDriver } from '../../../src/driver/bos/driver.js'
import type { BosParameters } from '../../../src/driver/parameters.js'
import { silentLogger } from '../../../src/util/log.js'
import { bosmount, environment } from '../../helpers/bosmount.js'
import { Authority } from '../certificates.js'
import { terminateTls } from '../forwarders.js'
import { bytes, failure } from '../helpers.js'
import { BUCKET, startDriverHarness } from './harness.js'

const harness = await startDriverHarness(t)
const authority = new Authority(t)
const names = 'DNS:localhost,IP:127.0.0.1'
const port = await terminateTls(t, authority.issue(names), harness.server.url)
const cafile = authority.certificateFile

function parameters(changes: Readonly<Record<string, unknown>>): BosParameters {
  return harness.parameters({ endpoint: `https://127.0.0.1:${port}`, ...changes })
}

const quick = { retry: { attempts: 2, baseDelay: 1 } }

void t.test('a server that the given authority vouches for is trusted', async t => {
  for (const endpoint of [`https://127.0.0.1:${port}`, `localhost:${port}`]) {
    const driver = await openBosDriver(parameters({ cafile, endpoint }))
    await driver.putContent('/secure', bytes(300_000))
    t.same(await driver.getContent('/secure'), bytes(300_000), endpoint)
    await driver.close()
  }
})

void t.test('a server from an unknown authority is refused, and the error says so', async t => {
  const other = new Authority(t, 'another authority')
  for (const changes of [{}, { cafile: other.certificateFile }]) {
    const error = await failure(openBosDriver(parameters(changes), quick))
    t.match(error, { name: 'DriverError', message: /unknown authority: set cafile/ })
    t.match(error, { message: `127.0.0.1:${port}` })
  }
  t.equal(harness.log.filter(entry => entry.status >= 400).length, 0, 'nothing was sent')
})

void t.test('a certificate for another host is refused, and the error says so', async t => {
  const identity = authority.issue('DNS:bos.example.com')
  const elsewhere = await terminateTls(t, identity, harness.server.url)
  const endpoint = `https://127.0.0.1:${elsewhere}`
  const error = await failure(openBosDriver(parameters({ cafile, endpoint }), quick))
  t.match(error, { name: 'DriverError', message: /is for another host name: correct endpoint/ })
})

void t.test('a mount fails with the same messages', async t => {
  const env = environment({
    BCE_ACCESS_KEY_ID: 'driver-key',
    BCE_SECRET_ACCESS_KEY: 'driver-secret',
  })
  const foreign = await terminateTls(t, authority.issue('DNS:bos.example.com'), harness.server.url)
  const mount = (atPort: number, ...more: string[]) => {
    const where = ['--endpoint', `https://127.0.0.1:${atPort}`]
    return bosmount(['mount', BUCKET, authority.folder, '-f', ...where, ...more], { env })
  }
  t.match(await mount(port), { code: 1, stderr: /unknown authority: set cafile/ })
  const wrongHost = await mount(foreign, '--ca-file', cafile)
  t.match(wrongHost, { code: 1, stderr: /is for another host name: correct endpoint/ })
  t.notMatch(wrongHost.stderr, /driver-secret/)
})

void t.test('a server without TLS is told from an untrusted one', async t => {
  const endpoint = harness.server.url.replace('http:', 'https:')
  const error = await failure(openBosDriver(parameters({ cafile, endpoint }), quick))
  t.match(error, { message: /does not speak TLS: .* set secure to false/ })
})

void t.test('skipverify takes any certificate, and the log warns of it', async t => {
  const warnings: string[] = []
  const log = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) }
  const driver = await openBosDriver(parameters({ skipverify: true }), { log })
  await driver.putContent('/insecure', bytes(10))
  t.match(warnings, [/skipverify: certificates are not verified/])
  await driver.close()
})

void t.test('an authority file that is none is refused at once', async t => {
  const file = join(authority.folder, 'none.pem')
  const make = (cafile: string): Promise<unknown> =>
    failure(Promise.resolve().then(() => createBosDriver(parameters({ cafile }))))
  t.match(await make(file), { message: /cannot read cafile .*none.pem: ENOENT/ })
  writeFileSync(file, 'no certificate')
  t.match(await make(file), { message: /holds no PEM certificate/ })
  writeFileSync(file, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  t.match(await make(file), { message: /certificate 1 of 1 is damaged/ })
})

void t.test('no secret shows in a failed handshake', async t => {
  const error = await failure(openBosDriver(parameters({}), quick))
  t.notMatch(inspect(error, { depth: 9, showHidden: true }), /driver-secret/)
})
