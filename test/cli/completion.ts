/** What shells are told, and bash with our script: the one shell that is everywhere. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { environment, PROGRAM } from '../helpers/bosmount.js'
import { CliSession } from '../helpers/cli-session.js'
import { run } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

const session = new CliSession(t)

async function answers(t: Test, ...words: string[]): Promise<string[]> {
  const finished = await session.run(['__complete', ...words])
  t.equal(finished.code, 0, finished.stderr)
  return finished.text
    .split('\n')
    .slice(0, -1)
    .map(line => line.replace(/\t.*/, ''))
}

void t.test('commands are completed, and those within registry', async t => {
  t.match(await answers(t, ''), ['mount', 'umount', 'status'])
  t.same(await answers(t, 'mo'), ['mount'])
  t.same(await answers(t, 'registry', ''), ['tree', 'du', 'verify', 'gc'])
  t.same(await answers(t, 'nothing', ''), [])
  t.same(await answers(t, 'completion', ''), ['bash', 'zsh', 'fish'])
})

void t.test('flags are completed once they are begun, secrets are not', async t => {
  t.same(await answers(t, 'mount', '--bi'), ['--binding'])
  t.same(await answers(t, 'registry', 'verify', 'b', '--sh'), ['--shard'])
  t.same(await answers(t, 'mount', '--accesskeys'), [])
  t.same(await answers(t, 'mount', 'bucket', ''), [], 'a directory belongs there')
  const flags = await answers(t, 'ls', '-')
  t.ok(flags.includes('--recursive') && flags.includes('--region'))
  t.notOk(flags.includes('--metrics'), 'not a flag of ls')
})

void t.test('values of flags and of -o are completed', async t => {
  t.same(await answers(t, 'mount', '--binding', ''), ['fuse', 'fuse-native'])
  t.same(await answers(t, 'mount', '--binding', '=', 'fuse-'), ['fuse-native'], 'words of bash')
  t.same(await answers(t, 'mount', '--binding', '='), ['fuse', 'fuse-native'])
  t.same(await answers(t, 'mount', '--log-level=d'), ['--log-level=debug'])
  t.ok((await answers(t, 'ls', '--region', '')).includes('bj'))
  t.same(await answers(t, 'url', '--method', 'H'), ['HEAD'])
  t.same(await answers(t, 'mount', '--read-only', ''), [], 'no value')
  t.same(await answers(t, 'mount', '--cache-dir', ''), [], 'a directory')
  t.same(await answers(t, 'mount', 'b', '/mnt', '-o', 'ro,allow'), ['ro,allow_other'])
  t.same(await answers(t, 'mount', '-o', 'cache_d'), ['cache_dir='])
  t.same(await answers(t, 'mount', '-o', 'accesskeys'), [])
})

void t.test('there is a script for each of three shells', async t => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const finished = await session.run(['completion', shell])
    t.equal(finished.code, 0, finished.stderr)
    t.match(finished.text, /bosmount __complete/)
  }
  const script = (await session.run(['completion', 'bash'])).text
  const checked = await run('bash', ['-n', '-c', script])
  t.equal(checked.code, 0, checked.stderr)
  t.equal((await session.run(['completion', 'tcsh'])).code, 2)
})

void t.test('the script for bash does what bash wants', async t => {
  const folder = scratchFolder(t)
  const script = join(folder, 'completion.bash')
  writeFileSync(script, (await session.run(['completion', 'bash'])).text)
  const text = `
    bosmount() { '${process.execPath}' '${PROGRAM}' "$@"; }
    source '${script}'
    COMP_WORDS=(bosmount mount --log-level d) COMP_CWORD=3
    _bosmount_complete; echo "\${COMPREPLY[@]}"
    COMP_WORDS=(bosmount registry '') COMP_CWORD=2
    _bosmount_complete; echo "\${COMPREPLY[@]}"`
  const finished = await run('bash', ['-c', text], { env: environment() })
  t.equal(finished.text, 'debug\ntree du verify gc\n', finished.stderr)
})
