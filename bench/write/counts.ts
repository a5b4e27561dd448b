/**
 * Rows whose figures are counts: requests, bytes sent, memory. Each job is done once, by ordinary
 * programs on a mount of its own with nothing cached; what the mount has still to do when it ends
 * is counted with it.
 */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { KiB, MiB } from '../../src/util/units.js'
import { runOk } from '../../test/helpers/processes.js'
import { residentBytes } from '../process-usage.js'
import type { Line, Row } from './row.js'
import { dd, Scene, Writers, type Cost } from './scene.js'

const COPIED = 64 * MiB
const MANY = 32

/** What a job costs on a fresh mount, after `prepare` on another one. */
async function job(
  scene: Scene,
  prepare: (root: string) => Promise<unknown>,
  work: (root: string) => Promise<unknown>,
): Promise<Cost> {
  await scene.mounted([], mount => prepare(mount.path))
  return await scene.mounted([], mount => scene.cost(() => work(mount.path)))
}

const nothing = async (): Promise<void> => undefined

async function inside(scene: Scene): Promise<readonly Line[]> {
  const { size } = scene.sizes
  const { up, seconds } = await job(
    scene,
    root => dd(join(root, 'source'), size),
    root => runOk('cp', [join(root, 'source'), join(root, 'copy')]),
  )
  const what = `cp of ${size / MiB} MiB inside the mount`
  return [
    { what, value: up / MiB, unit: 'MiB', goal: '< 1' },
    { what, value: seconds, unit: 's', goal: '< 1' },
  ]
}

async function overwrite(scene: Scene): Promise<readonly Line[]> {
  const { size } = scene.sizes
  const { up } = await job(
    scene,
    root => dd(join(root, 'changed'), size),
    async root => {
      const fd = openSync(join(root, 'changed'), 'r+')
      writeSync(fd, randomBytes(4 * KiB), 0, 4 * KiB, size / 2)
      fsyncSync(fd)
      closeSync(fd)
    },
  )
  const what = `4 KiB in the middle of ${size / MiB} MiB, fsync`
  return [{ what, value: up / MiB, unit: 'MiB', goal: '<= 16' }]
}

/** 200 directories of three levels with ten files each. */
function makeTree(root: string): void {
  const fill = (folder: string): void => {
    mkdirSync(folder, { recursive: true })
    for (let i = 0; i < 10; i += 1) writeFileSync(join(folder, `file-${i}`), 'x')
  }
  for (let i = 0; i < 8; i += 1) {
    fill(join(root, `a${i}`))
    for (let j = 0; j < 4; j += 1) {
      fill(join(root, `a${i}`, `b${j}`))
      for (let k = 0; k < 5; k += 1) fill(join(root, `a${i}`, `b${j}`, `c${k}`))
    }
  }
}

async function remove(scene: Scene): Promise<readonly Line[]> {
  const local = join(scene.folder, 'tree')
  makeTree(local)
  const { requests } = await job(
    scene,
    root => runOk('cp', ['-r', local, join(root, 'tree')], { timeout: 300_000 }),
    root => runOk('rm', ['-rf', join(root, 'tree')], { timeout: 300_000 }),
  )
  const what = 'rm -rf of 2000 files in 200 directories'
  return [{ what, value: requests, unit: 'requests', goal: '<= 30' }]
}

async function hundred(scene: Scene): Promise<readonly Line[]> {
  const { requests } = await scene.mounted([], async (mount, owner) => {
    const folder = join(mount.path, 'hundred')
    mkdirSync(folder)
    const writers = new Writers(owner, 1)
    return await scene.cost(() => writers.write({ folder, count: 100, size: KiB, sync: false }))
  })
  const what = '100 files of 1 KiB in one directory'
  return [{ what, value: requests, unit: 'requests', goal: '<= 105' }]
}

async function copyIn(scene: Scene): Promise<readonly Line[]> {
  const local = join(scene.folder, 'local-64')
  writeFileSync(local, randomBytes(COPIED))
  const { requests } = await job(scene, nothing, root =>
    runOk('cp', [local, join(root, 'copied-in')]),
  )
  return [{ what: 'cp of 64 MiB in', value: requests, unit: 'requests', goal: '<= 12' }]
}

/** mv(1) asks for RENAME_NOREPLACE. The first rename of a mount also finds out whether BOS can do it. */
async function move({ owner, sizes }: Scene): Promise<readonly Line[]> {
  const lines: Line[] = []
  for (const [how, args, goal] of [
    ['without RenameObject', [], '<= 6'],
    ['with RenameObject', ['--rename-object'], '<= 3'],
  ] as const) {
    const scene = await Scene.make(owner, sizes, args)
    await scene.mounted([], mount => makeMoved(mount.path))
    const places = (root: string, name: string): readonly [string, string] => [
      join(root, 'from', name),
      join(root, 'to', name),
    ]
    const mv = (root: string, name: string): Promise<unknown> =>
      runOk('mv', [...places(root, name)])
    const rename = async (root: string, name: string): Promise<void> =>
      renameSync(...places(root, name))
    for (const [what, names, work] of [
      ['mv', ['one', 'two'], mv],
      ['rename(2)', ['three', 'four'], rename],
    ] as const) {
      const [first, next] = await scene.mounted([], async ({ path }) => [
        await scene.cost(() => work(path, names[0])),
        await scene.cost(() => work(path, names[1])),
      ])
      const unit = 'requests'
      lines.push({ what: `${what} of 64 MiB, ${how}`, value: first.requests, unit, goal })
      lines.push({ what: `${what} of the next one`, value: next.requests, unit, goal })
    }
  }
  return lines
}

async function makeMoved(root: string): Promise<void> {
  for (const name of ['from', 'to']) mkdirSync(join(root, name))
  for (const name of ['one', 'two', 'three', 'four', 'stays'])
    await dd(join(root, 'from', name), COPIED)
}

/** The most memory that the mount holds while many files are written at once. */
async function memory(scene: Scene): Promise<readonly Line[]> {
  const { many } = scene.sizes
  return await scene.mounted([], async mount => {
    await Promise.all(
      Array.from({ length: MANY }, async (_, i) => {
        const of = `of=${join(mount.path, `many-${i}`)}`
        const args = ['if=/dev/zero', of, 'bs=1M', `count=${many / MiB}`]
        await once(spawn('dd', args, { stdio: 'ignore' }), 'exit')
      }),
    )
    const peak = residentBytes(mount.process.pid, 'most')
    const what = `resident while ${MANY} files of ${many / MiB} MiB are written`
    return [{ what, value: peak / MiB, unit: 'MiB', goal: '<= 256 + 200' }]
  })
}

export const COUNTS: readonly Row[] = [
  { name: 'inside', run: inside },
  { name: 'overwrite', run: overwrite },
  { name: 'rm', run: remove },
  { name: 'hundred', run: hundred },
  { name: 'copy-in', run: copyIn },
  { name: 'mv', run: move },
  { name: 'memory', run: memory },
]
