/** A git repository that lives on the mount: cloned, worked in, packed, checked and mounted again. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { seededBytes } from '../helpers/oci-image.js'
import { runOk } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

t.setTimeout(580_000)

const IDENTITY = {
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_AUTHOR_DATE: '2024-01-01T00:00:00Z',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.org',
  GIT_COMMITTER_DATE: '2024-01-01T00:00:00Z',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
}

async function shell(cwd: string, script: string): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: cwd, LC_ALL: 'C.UTF-8', ...IDENTITY }
  const { text } = await runOk('bash', ['-euc', script], { cwd, env, timeout: 240_000 })
  return text.trim()
}

/** A repository of some commits over some folders, with one file that is worth packing. */
async function makeRepository(folder: string): Promise<void> {
  mkdirSync(join(folder, 'src', 'deep'), { recursive: true })
  await shell(folder, 'git init -q -b main .')
  for (let commit = 0; commit < 12; commit += 1) {
    for (let file = 0; file < 8; file += 1) {
      const path = join(folder, file % 2 === 0 ? 'src' : 'src/deep', `file-${file}`)
      writeFileSync(path, `${'line\n'.repeat(50)}commit ${commit} file ${file}\n`)
    }
    writeFileSync(join(folder, 'big'), seededBytes(`git ${commit % 3}`, 500_000))
    await shell(folder, `git add . && git commit -qm 'commit ${commit}'`)
  }
}

/** Work whose commits depend on nothing but what was there. */
const WORK = `
  git checkout -q -b topic
  echo topic > topic-file && git add . && git commit -qm topic
  git mv src/file-0 src/renamed && git rm -q src/file-2 && git commit -qm moved
  git checkout -q main
  echo more >> src/file-4 && git commit -qam more
  git merge -q --no-edit topic
  git tag -a v1 -m v1
  git stash list; echo dirty >> src/file-6; git stash -q; git stash pop -q; git checkout -q src/file-6
  git log --format='%H %s'; git status --porcelain; git ls-files | sort`

await t.test('git does on the mount what it does on a local folder', async t => {
  const folder = scratchFolder(t)
  const [origin, local] = [join(folder, 'origin'), join(folder, 'local')]
  for (const path of [origin, local]) mkdirSync(path)
  await makeRepository(origin)
  const server = await startServer(t, folder)
  const mountpoint = join(folder, 'mount')
  const mount = await MountedBucket.mount(t, { server, mountpoint })

  const said: string[] = []
  const logs: string[] = []
  for (const place of [local, mount.path]) {
    await shell(place, `git clone -q '${origin}' work && git clone -q --bare work bare.git`)
    const log = await shell(join(place, 'work'), WORK)
    await shell(join(place, 'work'), 'git push -q ../bare.git main v1')
    await shell(place, 'git clone -q bare.git second')
    logs.push(log)
    said.push(`${log}\n${await shell(join(place, 'second'), 'git log --format=%H')}`)
  }
  t.equal(said[1], said[0], 'the same commits come of the same work')

  const work = join(mount.path, 'work')
  await shell(work, 'git fsck --full --strict --no-progress')
  await shell(work, 'git gc -q --prune=now && git fsck --full --strict --no-progress')
  await shell(join(mount.path, 'bare.git'), 'git repack -q -a -d && git fsck --full --no-progress')
  t.equal(await shell(work, WORK.slice(WORK.indexOf('git log'))), logs[0])
  t.equal(await mount.unmount(), 0)

  const again = await MountedBucket.mount(t, { server, mountpoint })
  await shell(work, 'git fsck --full --strict --no-progress')
  t.equal(
    await shell(work, 'git status --porcelain && git diff HEAD --stat'),
    '',
    'nothing differs',
  )
  t.equal(
    await shell(work, 'git rev-parse HEAD v1^{commit}'),
    await shell(join(local, 'work'), 'git rev-parse HEAD v1^{commit}'),
  )
  t.equal(await again.unmount(), 0)
})
