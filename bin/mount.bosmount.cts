#!/usr/bin/env node
/** mount(8)'s helper for type `fuse.bosmount`: `mount.bosmount SPEC DIRECTORY [-sfnv] [-o OPTIONS]`. */
process.env['UV_THREADPOOL_SIZE'] ??= '16'

void Promise.all([import('../src/cli/main.js'), import('../src/cli/mount-helper.js')]).then(
  async ([{ main }, { mountHelperArguments }]) => {
    process.exitCode = await main(mountHelperArguments(process.argv.slice(2)))
  },
)
