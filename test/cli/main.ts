/** The command line as a program: exit codes, help, and what is said of mistakes. Nothing is mounted. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bosmount, environment, SECRET_ACCESS_KEY } from '../helpers/bosmount.js'
import { CliSession } from '../helpers/cli-session.js'
import { run } from '../helpers/processes.js'
import { executable, projectPath } from '../helpers/project.js'
import { scratchFolder } from '../helpers/scratch.js'

const { version } = JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as {
  version: string
}

void t.test('--help and --version end well, on stdout', async t => {
  const help = await bosmount(['--help'])
  t.equal(help.code, 0)
  for (const command of ['mount', 'umount', 'serve']) t.match(help.text, command)
  t.match(help.text, /Exit codes: 0 done, 1 failed, 2/)
  t.equal(help.stderr, '')
  const mount = await bosmount(['mount', '--help'])
  t.equal(mount.code, 0)
  t.match(mount.text, /--metadata-ttl/)
  t.match(mount.text, /--chunksize/)
  t.notMatch(mount.text, /--accesskeysecret/, 'what is refused is not offered')
  const shown = await bosmount(['--version'])
  t.equal(shown.code, 0)
  t.equal(shown.text.trim(), version)
})

interface Mistake {
  readonly title: string
  readonly args: readonly string[]
  readonly says: RegExp
  /** Default 2: the command line is wrong. */
  readonly code?: number
  readonly env?: NodeJS.ProcessEnv
}

const MISTAKES: readonly Mistake[] = [
  { title: 'no command', args: [], says: /say what to do: mount, umount or serve/ },
  {
    title: 'an unknown command',
    args: ['mont'],
    says: /unknown command 'mont'; did you mean mount\?/,
  },
  { title: 'a command like no other', args: ['foo', 'x'], says: /unknown command 'foo' \(/ },
  {
    title: 'the name of a prototype',
    args: ['constructor'],
    says: /unknown command 'constructor'/,
  },
  {
    title: 'an unknown command of a group',
    args: ['registry', 'verfy', 'b'],
    says: /unknown command 'registry verfy'; did you mean registry verify\?/,
  },
  { title: 'an unknown flag', args: ['umount', '/x', '--forse'], says: /forse/ },
  {
    title: 'mount without a mount point',
    args: ['mount'],
    says: /SOURCE is missing: bosmount mount <source>/,
  },
  {
    title: 'umount of nothing',
    args: ['umount'],
    says: /MOUNTPOINT is missing: bosmount umount <mountpoint>/,
  },
  {
    title: 'a key as other tools have it',
    args: ['mount', 'bucket', '/tmp', '--ak', 'x', '--ro'],
    says: /--ak: keys are not taken from the command line[^]*--ro; as a mount option: -o ro/,
  },
  {
    title: 'flags of other tools',
    args: ['mount', 'bucket', '/tmp', '--dir-cache-time', '5m', '-d', '--prefix=x'],
    says: /--dir-cache-time: say metadata_ttl[^]*-d: the mount goes to the background[^]*BUCKET\/PREFIX/,
  },
  {
    title: 'a key of another tool without a mount',
    args: ['ls', 'bucket', '--secret-key', SECRET_ACCESS_KEY],
    says: /--secret-key: keys are not taken from the command line/,
  },
  { title: 'mount of one operand', args: ['mount', '/tmp', '-f'], says: /bucket/ },
  { title: 'mount of three', args: ['mount', 'b', '/tmp', 'c', '-f'], says: /bucket and a mount/ },
  {
    title: 'a flag without its value',
    args: ['mount', 'b', '/tmp', '-f', '--region'],
    says: /region/,
  },
  {
    title: 'several mistakes at once',
    args: ['mount', 'b', '/tmp', '-f', '--uid', 'root', '-o', 'chunksiz=1,gid=wheel'],
    says: /uid: .*\n.*gid: |chunksiz(.|\n)*uid: /,
  },
  {
    title: 'a region that is missing',
    args: ['mount', 'bucket', '/tmp', '-f'],
    says: /region is missing/,
  },
  {
    title: 'a secret as a flag',
    args: ['mount', 'b', '/tmp', '-f', '--accesskeysecret', SECRET_ACCESS_KEY],
    says: /accesskeysecret: not taken from the command line/,
  },
  {
    title: 'a secret as -o',
    args: ['mount', 'b', '/tmp', '-f', '-o', `sessiontoken=${SECRET_ACCESS_KEY}`],
    says: /sessiontoken: not taken from the command line/,
  },
  {
    title: 'a secret under a mistyped flag',
    args: ['mount', 'b', '/tmp', '-f', `--accesskeysecre=${SECRET_ACCESS_KEY}`],
    says: /accesskeysecre/,
  },
  {
    title: 'a configuration file that is not there',
    args: ['mount', 'b', '/tmp', '-f', '--config', '/nonexistent.yml'],
    says: /\/nonexistent\.yml: ENOENT/,
  },
  {
    title: 'umount of what is not mounted',
    args: ['umount', '/nonexistent-mount'],
    says: /nothing is mounted at \/nonexistent-mount/,
    code: 1,
  },
  {
    title: 'a time that is none',
    args: ['umount', '/tmp', '--timeout', 'soon'],
    says: /--timeout: 'soon'/,
  },
  { title: 'serve without a directory', args: ['serve'], says: /data-dir/ },
  {
    title: 'an address that is none',
    args: ['serve', '--data-dir', '/nonexistent', '--listen', 'here'],
    says: /--listen: 'here' is not HOST:PORT/,
  },
  {
    title: 'an address that others can reach',
    args: ['serve', '--data-dir', '/nonexistent', '--listen', '0.0.0.0:0'],
    says: /--allow-remote/,
  },
  {
    title: 'half of the credentials',
    args: ['serve', '--data-dir', '/nonexistent', '--listen', '127.0.0.1:0'],
    env: { BCE_SECRET_ACCESS_KEY: undefined },
    says: /both BCE_ACCESS_KEY_ID and BCE_SECRET_ACCESS_KEY/,
  },
]

void t.test('mistakes have exit code 2, one message and no secret', async t => {
  const session = new CliSession(t)
  for (const { title, args, says, code = 2, env = {} } of MISTAKES) {
    const finished = await session.run(args, env)
    t.equal(finished.code, code, title)
    t.match(finished.stderr, says, title)
    t.equal(finished.text, '', `${title}: nothing on stdout`)
    t.notMatch(finished.stderr, /\n\s+at .*:\d+:\d+/, `${title}: no stack`)
    t.equal(finished.stderr.match(/^bosmount: /gm)?.length, 1, `${title}: said once`)
    t.notOk(finished.stderr.includes(SECRET_ACCESS_KEY), `${title}: no secret`)
  }
})

void t.test('a configuration file that is no YAML is not quoted', async t => {
  const name = join(scratchFolder(t), 'the.yml')
  writeFileSync(name, `accesskeysecret: "${SECRET_ACCESS_KEY}\n`, { mode: 0o600 })
  const finished = await bosmount(['mount', 'b', '/tmp', '-f', '--config', name])
  t.equal(finished.code, 2)
  t.match(finished.stderr, /not YAML/)
  t.notOk(finished.stderr.includes(SECRET_ACCESS_KEY))
})

void t.test('the helper of mount(8) says what is wrong as the command does', async t => {
  const helper = executable('mount.bosmount')
  const fake = await run(process.execPath, [helper, 'bucket', '/tmp', '-f'], { env: environment() })
  t.equal(fake.code, 0, 'a fake mount mounts nothing')
  const args = ['bucket', '/tmp', '-o', `rw,accesskeysecret=${SECRET_ACCESS_KEY}`]
  const secret = await run(process.execPath, [helper, ...args], { env: environment() })
  t.equal(secret.code, 2)
  t.match(secret.stderr, /accesskeysecret: not taken from the command line/)
  t.notOk(secret.stderr.includes(SECRET_ACCESS_KEY))
})
