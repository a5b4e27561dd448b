#!/usr/bin/env node
/**
 * The executable. CommonJS, because an ES module's own loading starts libuv's thread pool before its
 * first line runs, and the pool's size is fixed then: waiting for the kernel takes a thread for as
 * long as a mount lasts, and file and DNS work needs others.
 */
process.env['UV_THREADPOOL_SIZE'] ??= '16'

void import('../src/cli/main.js').then(async ({ main }) => {
  process.exitCode = await main(process.argv.slice(2))
})
