/** What parameters put into the headers of every request that makes an object. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createBosDriver } from '../../../src/driver/bos/driver.js'
import { parseBosParameters } from '../../../src/driver/parameters.js'
import { bytes } from '../helpers.js'

const NAMES = ['x-bce-storage-class', 'x-bce-server-side-encryption', 'x-bce-acl'] as const

void t.test(
  'class, encryption and access go with new objects, not with parts or reads',
  async t => {
    const seen = new Map<string, (string | undefined)[]>()
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://h')
      const what = `${request.method} ${url.pathname}${url.search.replace(/=.*/, '')}`
      seen.set(
        what,
        NAMES.map(name => request.headers[name]?.toString()),
      )
      request.resume()
      response.setHeader('etag', '"e"')
      response.setHeader('content-type', 'application/json')
      response.end('{"uploadId":"u","eTag":"e"}')
    })
    await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const driver = createBosDriver(
      parseBosParameters({
        accesskeyid: 'ak',
        accesskeysecret: 'sk',
        endpoint: `http://127.0.0.1:${port}`,
        bucket: 'bkt',
        storageclass: 'STANDARD_IA',
        encrypt: 'SM4',
        objectacl: 'private',
      }),
    )
    t.teardown(() => driver.close())
    await driver.putContent('/put', bytes(10))
    await driver.makeDirectory('/dir')
    const composition = await driver.compose('/composed')
    const part = await composition.uploadPart(1, [bytes(10)])
    await composition.complete([part])
    await driver.getContent('/read')
    t.same(Object.fromEntries(seen), {
      'PUT /bkt/put': ['STANDARD_IA', 'SM4', 'private'],
      'PUT /bkt/dir/': [undefined, 'SM4', 'private'],
      'POST /bkt/composed?uploads': ['STANDARD_IA', 'SM4', 'private'],
      'PUT /bkt/composed?partNumber': [undefined, undefined, undefined],
      'POST /bkt/composed?uploadId': [undefined, undefined, undefined],
      'GET /bkt/read': [undefined, undefined, undefined],
    })
  },
)
