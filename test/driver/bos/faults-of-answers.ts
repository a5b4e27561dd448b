/** Every method against answers that are wrong or say no; see fault-table.ts. */
import t from 'tap'
import { playFaults } from './fault-table.js'

playFaults(t, [
  { kind: 'delay', delay: 30 },
  { kind: 'error', status: 500, code: 'InternalError' },
  { kind: 'error', status: 503, code: 'SlowDown', retryAfter: '0' },
  { kind: 'error', status: 429, code: 'RequestRateLimitExceeded' },
  { kind: 'error', status: 403, code: 'RequestTimeTooSkewed' },
  { kind: 'error', status: 400, code: 'RequestTimeout' },
  { kind: 'html' },
  { kind: 'html', status: 200 },
  { kind: 'wrong-length', by: 7 },
  { kind: 'wrong-length', by: -7 },
  { kind: 'corrupt', at: 3 },
  { kind: 'corrupt-upload', at: 3 },
  { kind: 'error-in-ok', code: 'InternalError' },
  { kind: 'skew-date', skew: 7_200_000 },
])
