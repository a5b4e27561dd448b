/**
 * A process that serves a MemoryOperations on a mount point: `node serve-memory.js <settings>`, with
 * settings in JSON. Says `{mounted}` or `{failed}` to its parent, obeys its messages, ends with the
 * mount. A process must not touch a mount that it serves itself, so every mounted test starts one.
 */
import { spawn } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { Binding, Mount } from '../../src/fs/binding.js'
import { createFuseBinding } from '../../src/fs/fuse/binding.js'
import { createNativeBinding } from '../../src/fs/native/binding.js'
import { MemoryOperations } from './memory-operations.js'

export interface ServeSettings {
  readonly mountpoint: string
  readonly binding: 'fuse' | 'fuse-native'
  readonly source?: string
  readonly readOnly?: boolean
  readonly allowOther?: boolean
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
  | { readonly do: 'unblock' }
  /** Changes a file of the root behind the kernel's back, and perhaps tells it. */
  | {
      readonly do: 'change'
      readonly name: string
      readonly content: string
      readonly tell: boolean
    }
  /** Removes a name of the root behind the kernel's back, and tells it. */
  | { readonly do: 'remove'; readonly name: string }
  /** Starts a program that lives on for a while. */
  | { readonly do: 'spawn' }

export type ServeEvent =
  | { readonly mounted: string }
  | { readonly failed: string }
  | { readonly unmounted: true }
  | { readonly refused: string }
  | { readonly spawned: number }
  | { readonly changed: true }
  | { readonly closed: true; readonly destroyed: number; readonly openHandles: number }
  | {
      readonly calls: Record<string, number>
      readonly maxWrite: number
      /** References that the kernel holds to inodes, the root's own included. */
      readonly lookups: number
      /** Microseconds of processor time so far. */
      readonly cpu: number
    }

const settings = JSON.parse(process.argv[2] ?? '{}') as ServeSettings

function say(event: ServeEvent): void {
  process.send?.(event)
}

function bindingOf(): Binding {
  return settings.binding === 'fuse' ? createFuseBinding() : createNativeBinding()
}

const operations = new MemoryOperations({
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  directIo: settings.directIo === true,
  ...(settings.valid !== undefined && { valid: settings.valid }),
  ...(settings.latency !== undefined && { latency: () => delay(settings.latency) }),
})

/** Settles when the last unmount that was asked for has been told of. */
let unmounting: Promise<void> = Promise.resolve()

function obey(mount: Mount, command: ServeCommand): void {
  switch (command.do) {
    case 'exit':
      process.exit(0)
    case 'spawn': {
      const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true })
      say({ spawned: child.pid ?? 0 })
      return
    }
    case 'unblock':
      return operations.unblock()
    case 'change':
      operations.change(command.name, command.content, command.tell)
      return say({ changed: true })
    case 'remove':
      operations.remove(command.name)
      return say({ changed: true })
    case 'unmount':
      unmounting = mount.unmount({ lazy: command.lazy }).then(
        () => say({ unmounted: true }),
        (error: unknown) => say({ refused: String(error) }),
      )
      return
    case 'stats': {
      const { user, system } = process.cpuUsage()
      const calls = Object.fromEntries(operations.calls)
      const { lookups, session } = operations
      say({ calls, lookups, maxWrite: session?.maxWrite ?? 0, cpu: user + system })
    }
  }
}

async function main(): Promise<void> {
  const binding = bindingOf()
  const mount = await binding.mount(operations, settings.mountpoint, {
    source: settings.source ?? 'memory',
    ...(settings.readOnly !== undefined && { readOnly: settings.readOnly }),
    ...(settings.allowOther !== undefined && { allowOther: settings.allowOther }),
    ...(settings.mountOptions !== undefined && { mountOptions: settings.mountOptions }),
  })
  process.on('message', (command: ServeCommand) => obey(mount, command))
  say({ mounted: mount.mountpoint })
  await mount.closed
  say({ closed: true, destroyed: operations.destroyed, openHandles: operations.openHandles })
  await unmounting
}

// An orphan would keep a mount that no test cleans up.
process.on('disconnect', () => process.exit(0))

main().then(
  () => process.disconnect?.(),
  (error: unknown) => {
    say({ failed: error instanceof Error ? error.message : String(error) })
    process.disconnect?.()
  },
)
