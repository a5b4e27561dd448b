/** The names that requests are counted under. */
import t from 'tap'
import { operationOf } from '../../../src/driver/bos/observe-transport.js'
import type { BosRequest } from '../../../src/driver/bos/transport.js'

const key = 'a'
const copy = { 'x-bce-copy-source': '/b/k' }
const CASES: readonly (readonly [BosRequest, string])[] = [
  [{ method: 'HEAD' }, 'HeadBucket'],
  [{ method: 'GET', params: { prefix: 'a/' } }, 'ListObjects'],
  [{ method: 'POST', params: { delete: '' } }, 'DeleteMultipleObjects'],
  [{ method: 'GET', params: { uploads: '' } }, 'ListMultipartUploads'],
  [{ method: 'GET', key }, 'GetObject'],
  [{ method: 'HEAD', key }, 'HeadObject'],
  [{ method: 'PUT', key }, 'PutObject'],
  [{ method: 'DELETE', key }, 'DeleteObject'],
  [{ method: 'PUT', key, headers: copy }, 'CopyObject'],
  [{ method: 'PUT', key, headers: { 'x-bce-rename-key': 'b' } }, 'RenameObject'],
  [{ method: 'POST', key, params: { uploads: '' } }, 'InitiateMultipartUpload'],
  [{ method: 'PUT', key, params: { partNumber: '1', uploadId: 'u' } }, 'UploadPart'],
  [
    { method: 'PUT', key, params: { partNumber: '1', uploadId: 'u' }, headers: copy },
    'UploadPartCopy',
  ],
  [{ method: 'POST', key, params: { uploadId: 'u' } }, 'CompleteMultipartUpload'],
  [{ method: 'DELETE', key, params: { uploadId: 'u' } }, 'AbortMultipartUpload'],
  [{ method: 'GET', key, params: { uploadId: 'u' } }, 'ListParts'],
]

void t.test('every request is counted under the name that BOS has for it', t => {
  for (const [request, name] of CASES) t.equal(operationOf(request), name)
  t.end()
})
