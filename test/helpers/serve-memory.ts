/**
 * A process that serves a MemoryOperations on a mount point: `node serve-memory.js <settings>`, with
 * settings in JSON. Says `{mounted}` or `{failed}` to its parent, obeys its messages, ends with the
 * mount. A process must not touch a mount that it serves itself, so every mounted test starts one.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Binding } from '../../src/fs/binding.js'
import { createFuseBinding } from '../../src/fs/fuse/binding.js'
import type { Ino } from '../../src/fs/operations.js'
import { MemoryOperations } from './memory-operations.js'

export interface ServeSettings {
  readonly mountpoint: string
  readonly binding: 'fuse' | 'fuse-native'
  readonly source?: string
  readonly readOnly?: boolean
  readonly mountOptions?: readonly string[]
  /** Milliseconds that reads and writes take. */
  readonly latency?: number
  readonly directIo?: boolean
  readonly valid?: number
}

export type ServeCommand =
  | { readonly do: 'unmount'; readonly lazy: boolean }
  | { readonly do: 'exit' }
  | { readonly do: 'stats' }
  | { readonly do: 'invalidate'; readonly ino: number }

export type ServeEvent =
  | { readonly mounted: string }
  | { readonly failed: string }
  | { readonly unmounted: true }
  | { readonly refused: string }
  | { readonly closed: true; readonly destroyed: number; readonly openHandles: number }
  | {
      readonly calls: Record<string, number>
      readonly maxWrite: number
      readonly cpu: number
      readonly fds: number
    }

const settings = JSON.parse(process.argv[2] ?? '{}') as ServeSettings

function say(event: ServeEvent): void {
  process.send?.(event)
}

function bindingOf(): Binding {
  return createFuseBinding()
}

const operations = new MemoryOperations({
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  directIo: settings.directIo === true,
  ...(settings.valid !== undefined && { valid: settings.valid }),
  ...(settings.latency !== undefined && { latency: () => delay(settings.latency) }),
})

async function main(): Promise<void> {
  const binding = bindingOf()
  const mount = await binding.mount(operations, settings.mountpoint, {
    source: settings.source ?? 'memory',
    ...(settings.readOnly !== undefined && { readOnly: settings.readOnly }),
    ...(settings.mountOptions !== undefined && { mountOptions: settings.mountOptions }),
  })
  process.on('message', (command: ServeCommand) => {
    if (command.do === 'exit') process.exit(0)
    if (command.do === 'invalidate') operations.notifier?.invalidateInode(command.ino as Ino, 0, 0)
    if (command.do === 'stats') {
      const { user, system } = process.cpuUsage()
      say({
        calls: Object.fromEntries(operations.calls),
        maxWrite: operations.session?.maxWrite ?? 0,
        cpu: user + system,
        fds: 0,
      })
    }
    if (command.do === 'unmount') {
      mount.unmount({ lazy: command.lazy }).then(
        () => say({ unmounted: true }),
        (error: unknown) => say({ refused: String(error) }),
      )
    }
  })
  say({ mounted: mount.mountpoint })
  await mount.closed
  say({ closed: true, destroyed: operations.destroyed, openHandles: operations.openHandles })
}

main().then(
  // After what else the end of the mount has yet to say.
  () => setImmediate(() => process.disconnect?.()),
  (error: unknown) => {
    say({ failed: error instanceof Error ? error.message : String(error) })
    process.disconnect?.()
  },
)
