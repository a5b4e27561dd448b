/** Every method against connections that break or fall silent; see fault-table.ts. */
import t from 'tap'
import { playFaults } from './fault-table.js'

playFaults(t, [
  { kind: 'hang' },
  { kind: 'hang-response' },
  { kind: 'hang-download', after: 10 },
  { kind: 'reset' },
  { kind: 'reset-upload', after: 5 },
  { kind: 'reset-download', after: 5 },
  { kind: 'reset-after' },
  { kind: 'truncate', after: 5 },
  { kind: 'drop-response' },
])
