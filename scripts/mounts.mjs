/** What is mounted, as the kernel says it. */
import { readFileSync } from 'node:fs'

/** Mount points of this process's view, octal escapes undone. */
export function mountPoints() {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => line.split(' ')[4] ?? '')
    .map(path =>
      path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(parseInt(octal, 8))),
    )
}
