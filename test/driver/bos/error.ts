import t from 'tap'
import {
  BOS_CODES,
  BosError,
  codeOfStatus,
  meaningOf,
  statusOfCode,
  toDriverError,
  type BosErrorDetails,
} from '../../../src/driver/bos/error.js'

const TABLE: readonly (readonly [BosErrorDetails, string])[] = [
  [{ kind: 'response', status: 404, code: 'NoSuchKey' }, 'PATH_NOT_FOUND'],
  [{ kind: 'response', status: 404, code: 'Http404' }, 'PATH_NOT_FOUND'],
  [{ kind: 'response', status: 404, code: 'SymlinkTargetNotExist' }, 'PATH_NOT_FOUND'],
  [{ kind: 'response', status: 404, code: 'NoSuchBucket' }, 'NOT_FOUND'],
  [{ kind: 'response', status: 404, code: 'NoSuchUpload' }, 'NOT_FOUND'],
  [{ kind: 'response', status: 403, code: 'AccessDenied' }, 'ACCESS_DENIED'],
  [{ kind: 'response', status: 403, code: 'SignatureDoesNotMatch' }, 'ACCESS_DENIED'],
  [{ kind: 'response', status: 400, code: 'InvalidSessionToken' }, 'ACCESS_DENIED'],
  [{ kind: 'response', status: 403, code: 'Anything' }, 'ACCESS_DENIED'],
  [{ kind: 'response', status: 403, code: 'SomeQuotaExceeded' }, 'QUOTA'],
  [{ kind: 'response', status: 403, code: 'CapacityExceeded' }, 'QUOTA'],
  [{ kind: 'response', status: 412, code: 'PreconditionFailed' }, 'PRECONDITION'],
  [{ kind: 'response', status: 409, code: 'FileAlreadyExists' }, 'PRECONDITION'],
  [{ kind: 'response', status: 409, code: 'RenameConflict' }, 'CONFLICT'],
  [{ kind: 'response', status: 409 }, 'CONFLICT'],
  [{ kind: 'response', status: 429, code: 'RequestRateLimitExceeded' }, 'THROTTLED'],
  [{ kind: 'response', status: 503, code: 'SlowDown' }, 'THROTTLED'],
  [{ kind: 'response', status: 400, code: 'InvalidObjectName' }, 'INVALID_PATH'],
  [{ kind: 'response', status: 400, code: 'BadDigest' }, 'INTEGRITY'],
  [{ kind: 'response', status: 400, code: 'InvalidPart' }, 'INTEGRITY'],
  [{ kind: 'response', status: 501, code: 'NotImplemented' }, 'UNSUPPORTED'],
  [{ kind: 'response', status: 400, code: 'RequestTimeout' }, 'TIMEOUT'],
  [{ kind: 'response', status: 500, code: 'InternalError' }, 'FAILED'],
  [{ kind: 'response', status: 400, code: 'constructor' }, 'FAILED'],
  [{ kind: 'timeout' }, 'TIMEOUT'],
  [{ kind: 'integrity' }, 'INTEGRITY'],
  [{ kind: 'network' }, 'FAILED'],
  [{ kind: 'connect' }, 'FAILED'],
  [{ kind: 'tls' }, 'FAILED'],
]

void t.test('every failure has its driver error', async t => {
  for (const [details, code] of TABLE) {
    const error = toDriverError(new BosError('why', details), 'bos', '/p')
    t.match(error, { code, driver: 'bos', path: '/p' }, JSON.stringify(details))
  }
})

void t.test('a driver error keeps code, request and cause', async t => {
  const details = { kind: 'response', status: 500, code: 'InternalError', requestId: 'r9' } as const
  const cause = new BosError('we failed', details)
  const error = toDriverError(cause, 'bos', '/p')
  t.match(error, { serviceCode: 'InternalError', requestId: 'r9', cause })
  t.match(error, { message: 'bos: /p: we failed (BOS code InternalError, request r9)' })
  const other = new Error('not ours')
  t.equal(toDriverError(other, 'bos', '/p'), other)
})

void t.test('only what may have been executed is ambiguous', async t => {
  const ambiguous = (details: BosErrorDetails): boolean => new BosError('', details).ambiguous
  t.ok(ambiguous({ kind: 'network' }))
  t.ok(ambiguous({ kind: 'timeout' }))
  t.ok(ambiguous({ kind: 'integrity' }))
  t.ok(ambiguous({ kind: 'response', status: 500 }))
  t.notOk(ambiguous({ kind: 'connect' }))
  t.notOk(ambiguous({ kind: 'tls' }))
  t.notOk(ambiguous({ kind: 'response', status: 429 }))
  t.notOk(ambiguous({ kind: 'response', status: 412 }))
})

void t.test('codes and statuses stand in for each other', async t => {
  t.equal(codeOfStatus(404), 'NoSuchKey')
  t.equal(codeOfStatus(418), 'Http418')
  t.equal(statusOfCode('NoSuchKey'), 404)
  t.equal(statusOfCode('Unheard'), 500)
  t.equal(statusOfCode('toString'), 500)
  for (const [code, { status, meaning }] of Object.entries(BOS_CODES)) {
    t.equal(meaningOf(new BosError('', { kind: 'response', status, code })), meaning)
  }
})
