/** Locks of descriptors against each other: flock(2) and the record locks of fcntl(2). */
import { flock, FLOCK, LOCK, lock, testLock } from '../../helpers/libc.js'
import { descriptorOf } from './host-os.js'
import { O, tried, writeFile } from './os.js'
import type { KernelCase, Os, Result } from './os.js'

async function twoOpenFiles(os: Os) {
  await writeFile(os, '/f', '0123456789')
  return [await os.open('/f', O.rdwr), await os.open('/f', O.rdwr)] as const
}

export const lockCases: readonly KernelCase[] = [
  {
    title: 'flock: shared locks go together, exclusive ones exclude, closing gives back',
    onKernel: async os => {
      const [one, two] = await twoOpenFiles(os)
      const [first, second] = [descriptorOf(one), descriptorOf(two)]
      const seen: Result[] = []
      const attempt = async (fd: number, kind: number) =>
        seen.push(await tried(() => flock(fd, kind | FLOCK.nonBlocking)))
      await attempt(first, FLOCK.shared)
      await attempt(second, FLOCK.shared)
      await attempt(second, FLOCK.exclusive)
      await attempt(first, FLOCK.unlock)
      await attempt(second, FLOCK.exclusive)
      await attempt(first, FLOCK.shared)
      await two.close()
      await attempt(first, FLOCK.exclusive)
      await one.close()
      return seen
    },
  },
  {
    title: 'fcntl: ranges exclude where they overlap, and only there',
    onKernel: async os => {
      const [one, two] = await twoOpenFiles(os)
      const [first, second] = [descriptorOf(one), descriptorOf(two)]
      const seen: Result[] = []
      const attempt = async (fd: number, kind: number, start: number, length: number) =>
        seen.push(await tried(() => lock(fd, { kind, start, length })))
      await attempt(first, LOCK.exclusive, 0, 10)
      await attempt(second, LOCK.exclusive, 10, 10)
      await attempt(second, LOCK.shared, 5, 1)
      seen.push(testLock(second, { kind: LOCK.exclusive, start: 9, length: 1 }))
      seen.push(testLock(second, { kind: LOCK.exclusive, start: 50, length: 0 }))
      await attempt(first, LOCK.none, 4, 4)
      await attempt(second, LOCK.shared, 5, 1)
      await attempt(second, LOCK.shared, 8, 1)
      await attempt(first, LOCK.shared, 0, 0)
      await one.close()
      await attempt(second, LOCK.exclusive, 0, 0)
      await two.close()
      return seen
    },
  },
]
