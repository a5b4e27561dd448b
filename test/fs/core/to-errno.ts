import t from 'tap'
import {
  AccessDeniedError,
  ClosedError,
  ConflictError,
  DriverError,
  IntegrityError,
  InvalidOffsetError,
  InvalidPathError,
  NotFoundError,
  PathNotFoundError,
  PathTooLongError,
  PreconditionError,
  QuotaError,
  ThrottledError,
  TimeoutError,
  UnsupportedError,
} from '../../../src/driver/errors.js'
import { toErrnoError, toFailure } from '../../../src/fs/core/to-errno.js'
import { ErrnoError } from '../../../src/util/errno.js'

const aborted = new AbortController()
aborted.abort()

const TABLE: readonly (readonly [unknown, string, string])[] = [
  [new PathNotFoundError('/a'), 'ENOENT', 'debug'],
  [new InvalidPathError('/a', 'reason'), 'EINVAL', 'debug'],
  [new PathTooLongError('/a', 'reason'), 'ENAMETOOLONG', 'debug'],
  [new InvalidOffsetError('/a', -1), 'EINVAL', 'warn'],
  [new UnsupportedError('no'), 'EOPNOTSUPP', 'debug'],
  [new AccessDeniedError('no'), 'EACCES', 'warn'],
  [new PreconditionError('no'), 'ESTALE', 'warn'],
  [new ConflictError('no'), 'EEXIST', 'warn'],
  [new ThrottledError('no'), 'EIO', 'warn'],
  [new TimeoutError('no'), 'EIO', 'warn'],
  [new QuotaError('no'), 'ENOSPC', 'warn'],
  [new IntegrityError('no'), 'EIO', 'error'],
  [new NotFoundError('no'), 'EIO', 'error'],
  [new ClosedError('no'), 'EIO', 'error'],
  [new DriverError('no'), 'EIO', 'error'],
  [aborted.signal.reason, 'EINTR', 'debug'],
  [new ErrnoError('ENOTEMPTY', '/a'), 'ENOTEMPTY', 'debug'],
  [new ErrnoError('ESTALE', '/a'), 'ESTALE', 'warn'],
  [new TypeError('a bug'), 'EIO', 'error'],
  ['a text', 'EIO', 'error'],
]

void t.test('every error has its errno and is logged as loudly as it deserves', t => {
  for (const [error, errno, level] of TABLE) {
    const name = error instanceof Error ? error.name : String(error)
    t.same(toFailure(error), { errno, level }, name)
    const converted = toErrnoError(error)
    t.equal(converted.code, errno)
    if (!(error instanceof ErrnoError)) t.equal(converted.cause, error, 'the cause is kept')
  }
  t.end()
})

void t.test('an ErrnoError is passed on as it is', t => {
  const error = new ErrnoError('EFBIG', '/a')
  t.equal(toErrnoError(error), error)
  t.end()
})
