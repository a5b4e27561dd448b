/** What nobody can be faster than: requests, signed, sent by undici, and nothing else. */
import { randomBytes } from 'node:crypto'
import { Pool } from 'undici'
import { MiB } from '../../src/util/units.js'
import { TestClient } from '../../test/helpers/bos-client.js'
import { ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY } from '../../test/helpers/bosmount.js'
import { parallel } from '../measure.js'

const PART = 10 * MiB
const UPLOADS = 8

export class Bare {
  readonly #pool: Pool
  readonly #signer: TestClient

  constructor(endpoint: string) {
    this.#pool = new Pool(endpoint, { connections: 64, pipelining: 1 })
    this.#signer = new TestClient({
      url: endpoint,
      accessKeyId: ACCESS_KEY_ID,
      secretAccessKey: SECRET_ACCESS_KEY,
      bucket: BUCKET,
    })
  }

  async close(): Promise<void> {
    this.#signer.close()
    await this.#pool.close()
  }

  async put(key: string, body: Buffer, query: Record<string, string> = {}): Promise<string> {
    const { etag } = (await this.#send('PUT', key, { body, query })).headers
    return String(etag)
  }

  /** As the mount does by default: parts of 10 MiB, eight at a time. */
  async upload(key: string, size: number): Promise<void> {
    const chunk = randomBytes(PART)
    const begun = await this.#send('POST', key, { query: { uploads: '' } })
    const { uploadId } = JSON.parse(begun.text) as { uploadId: string }
    const parts: { partNumber: number; eTag: string }[] = []
    await parallel(Math.ceil(size / PART), UPLOADS, async i => {
      const body = chunk.subarray(0, Math.min(PART, size - i * PART))
      const eTag = await this.put(key, body, { partNumber: String(i + 1), uploadId })
      parts.push({ partNumber: i + 1, eTag: eTag.replaceAll('"', '') })
    })
    parts.sort((a, b) => a.partNumber - b.partNumber)
    const body = Buffer.from(JSON.stringify({ parts }))
    await this.#send('POST', key, { body, query: { uploadId } })
  }

  async #send(
    method: 'PUT' | 'POST',
    key: string,
    { body = Buffer.alloc(0), query = {} }: { body?: Buffer; query?: Record<string, string> },
  ): Promise<{ headers: Record<string, unknown>; text: string }> {
    const path = this.#signer.path(key)
    const headers: Record<string, string> = {
      host: this.#signer.host,
      'x-bce-date': `${new Date().toISOString().slice(0, 19)}Z`,
      'content-length': String(body.length),
    }
    headers['authorization'] = this.#signer.authorization({ method, path, query, headers })
    const search = new URLSearchParams(query).toString()
    const target = search === '' ? path : `${path}?${search}`
    const answer = await this.#pool.request({ method, path: target, headers, body })
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${method} ${key}: ${text}`)
    return { headers: answer.headers, text }
  }
}
