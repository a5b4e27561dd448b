/** `bosmount registry`: what a registry keeps in a bucket, seen without the registry and without a mount. */
import type { CommandModule } from 'yargs'
import { garbageCommand } from './registry/garbage.js'
import { treeCommand } from './registry/tree.js'
import { usageCommand } from './registry/usage.js'
import { verifyCommand } from './registry/verify.js'

export const REGISTRY_COMMANDS: readonly CommandModule[] = [
  treeCommand,
  usageCommand,
  verifyCommand,
  garbageCommand,
]

export const registryCommand: CommandModule = {
  command: 'registry',
  describe: 'Look at what a container registry keeps in a bucket',
  builder: yargs =>
    yargs
      .command([...REGISTRY_COMMANDS])
      .demandCommand(1, 'say what to do: tree, du, verify or gc'),
  handler: () => undefined,
}
