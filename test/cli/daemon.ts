/** Going into the background: what becomes of both processes when signals come before the mount answers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { eventually } from '../helpers/mount-process.js'
import { projectPath } from '../helpers/project.js'
import { scratchFolder } from '../helpers/scratch.js'

/** The mounting process never answers, and takes no heed of SIGTERM. */
function program(pidFile: string): string {
  const daemon = pathToFileURL(projectPath('dist/src/cli/daemon.js')).href
  return `
    import { writeFileSync } from 'node:fs'
    import { isDaemonChild, startDaemon } from ${JSON.stringify(daemon)}
    if (isDaemonChild()) {
      process.on('SIGTERM', () => undefined)
      writeFileSync(${JSON.stringify(pidFile)}, String(process.pid) + ';')
      setInterval(() => undefined, 60_000)
    } else await startDaemon().catch(error => {
      console.log(error.name)
    })`
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

void t.test('a second signal kills a mounting process that does not end', async t => {
  const folder = scratchFolder(t)
  const script = join(folder, 'program.mjs')
  const pidFile = join(folder, 'pid')
  writeFileSync(script, program(pidFile))
  writeFileSync(pidFile, '')
  const starter = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => starter.kill('SIGKILL'))
  let output = ''
  starter.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const read = (): string => readFileSync(pidFile, 'utf8')
  await eventually('the mounting process is there', async () => read().endsWith(';'))
  const pid = Number.parseInt(read(), 10)
  t.teardown(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  const closed = once(starter, 'close')
  starter.kill('SIGINT')
  starter.kill('SIGTERM')
  await closed
  t.equal(output.trim(), 'InterruptError')
  t.notOk(isAlive(pid), 'the mounting process is gone')
})
