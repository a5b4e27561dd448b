/**
 * Runs a server until it is killed: `node server-process.js <data directory>`. Prints its URL on a line.
 * It has a flat bucket with RenameObject, and a hierarchical one.
 * A helper of the tests, not a test.
 */
import { startBosServer } from '../../src/server/server.js'
import { CREDENTIALS } from './bos-harness.js'

const [, , dataDirectory = ''] = process.argv
const server = await startBosServer({
  dataDirectory,
  buckets: ['test-bucket', { name: 'tree-bucket', hierarchy: true }],
  credentials: CREDENTIALS,
  strict: { renameObject: true },
})
process.stdout.write(`${server.url}\n`)
