/**
 * Finds and removes what a test run has left behind: mounts below its scratch folder and processes
 * that were started with it in their environment.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { mountPoints } from './mounts.mjs'
import { run } from './steps.mjs'

/**
 * Unmounts and kills; processes that are just ending get a moment to do so.
 *
 * @returns a sentence per thing that had to be removed
 */
export async function sweep(scratch) {
  const found = []
  for (const path of mountPoints().filter(path => path.startsWith(`${scratch}/`))) {
    found.push(`left mounted: ${path}`)
    await run('umount', ['-l', path]).catch(() => run('fusermount3', ['-uz', path]))
  }
  const deadline = Date.now() + 2000
  while (processesOf(scratch).length > 0 && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  for (const { pid, command } of processesOf(scratch)) {
    found.push(`left running: ${command}`)
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It has ended in between.
    }
  }
  return found
}

function processesOf(scratch) {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap(name => {
      try {
        const environment = readFileSync(`/proc/${name}/environ`, 'utf8').split('\0')
        if (!environment.includes(`BOSMOUNT_TEST_SCRATCH=${scratch}`)) return []
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim()
        return [{ pid: Number(name), command }]
      } catch {
        return []
      }
    })
}
