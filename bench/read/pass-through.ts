/** What warm reads are held against: a mount that does nothing but pass on a file on tmpfs. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MiB } from '../../src/util/units.js'
import { Background, runOk } from '../../test/helpers/processes.js'
import type { Scene } from './scene.js'

const SERVE = fileURLToPath(new URL('serve.js', import.meta.url))

/** @param work  is given a file of the big object's size */
export async function passThrough<T>(
  { owner, size, folder }: Scene,
  work: (file: string) => Promise<T>,
): Promise<T> {
  const shared = mkdtempSync('/dev/shm/bosmount-bench-')
  const target = join(folder, 'pass-through')
  try {
    const source = join(shared, 'file')
    await runOk('dd', ['if=/dev/zero', `of=${source}`, 'bs=1M', `count=${size / MiB}`])
    mkdirSync(target, { recursive: true })
    const server = new Background(owner, process.execPath, [SERVE, source, target])
    await server.waitFor(/mounted/)
    const result = await work(join(target, 'file'))
    await server.stop()
    return result
  } finally {
    rmSync(shared, { recursive: true })
  }
}
