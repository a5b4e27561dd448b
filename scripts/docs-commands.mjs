/**
 * `npm run docs:commands`: writes docs/COMMANDS.md and the man pages from what `--help` says and from the table
 * of options, so that they cannot say anything else than the program does.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PROJECT = fileURLToPath(new URL('../', import.meta.url))

/** Commands in the order of the page; those of a group stand behind it. */
const COMMANDS = [
  ['mount', 'umount', 'status', 'stats', 'sync', 'invalidate', 'recover'],
  ['ls', 'stat', 'cat', 'put', 'cp', 'mv', 'rm', 'du', 'url', 'uploads'],
  ['registry tree', 'registry du', 'registry verify', 'registry gc'],
  ['config', 'doctor', 'completion', 'serve'],
].flat()

/** Groups of options that docs/CONFIGURATION.md tells about. */
const ELSEWHERE = /^(BOS|Cache|Logging|Mount):$/
/** Of these groups, what is no option of the table. */
const OWN = /^ +(-\w, )?--(embedded|config|foreground)\b|^ +-o\b/

let helps

/** All of them from one process: starting one for each would take long. */
function help(command) {
  helps ??= JSON.parse(
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--print-helps'], {
      encoding: 'utf8',
    }),
  )
  return helps[command]
}

/** The process that `help` starts. */
async function printHelps() {
  const { main } = await compiled('dist/src/cli/main.js')
  const found = {}
  for (const command of ['', ...COMMANDS]) {
    let text = ''
    process.stdout.write = data => {
      text += data
      return true
    }
    await main([...command.split(' ').filter(Boolean), '--help'])
    delete process.stdout.write
    found[command] = text.trimEnd()
  }
  process.stdout.write(JSON.stringify(found))
}

/** What a command's help says of its own, without the options that many have. */
function ownHelp(command) {
  const kept = []
  let isElsewhere = false
  for (const line of help(command).split('\n')) {
    if (/^\S.*:$/.test(line)) isElsewhere = ELSEWHERE.test(line)
    if (!isElsewhere || OWN.test(line)) {
      if (/--(version|help)\b/.test(line) || /^Exit codes: 0|^3 a check has/.test(line)) continue
      kept.push(line)
    }
  }
  return kept
    .join('\n')
    .replace(/\nOptions:\s*$/, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
}

/** docs/COMMANDS.md */
export function commandsPage() {
  const sections = COMMANDS.map(
    command => `## bosmount ${command}\n\n\`\`\`\n${ownHelp(command)}\n\`\`\``,
  )
  return `${[INTRODUCTION.trim(), ...sections].join('\n\n')}\n`
}

const INTRODUCTION = `
# Commands

What \`bosmount COMMAND --help\` says, without the options that say how to reach a bucket and how a mount behaves: those
are in [CONFIGURATION.md](CONFIGURATION.md), and mean the same for every command that has them.

**Paths** in a bucket are written as \`mount\` has them: \`BUCKET/PATH\` or \`bos://BUCKET/PATH\` from the top of the bucket; or
\`/PATH\`, below the bucket and the rootdirectory of the configuration. A slash at the end says that a directory is meant.

**Exit codes**: 0 done; 1 failed; 2 the command line or the configuration is wrong, nothing was done; 3 the command has done its
work and has found something (\`registry verify\`, \`doctor\`); 130 ended by Ctrl-C, 141 the reader of the output has gone.

**Output** for people and programs goes to standard output, everything else to standard error. \`--json\` gives one object per line;
a \`path\` in it begins with a slash: below the bucket if one was named, else below the configured bucket and rootdirectory.
`

const DATE = '2026-11-22'

/** Text as roff has it: no line begins with a control character, and hyphens can be copied. */
function roff(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('’', '\\(cq')
    .replaceAll(/^([.'])/gm, '\\&$1')
}

function page(title, section, parts) {
  const body = parts.map(([name, text]) => `.SH ${name}\n${text.trim()}`)
  return `.\\" Written by scripts/docs-commands.mjs.\n.TH ${title} ${section} ${DATE} bosmount\n${body.join('\n')}\n`
}

function items(rows) {
  return rows.map(([term, text]) => `.TP\n.B ${roff(term)}\n${roff(text)}`).join('\n')
}

async function compiled(path) {
  return await import(pathToFileURL(`${PROJECT}${path}`).href)
}

/** docs/man/bosmount.1 */
export async function commandManual() {
  const { OPTIONS } = await compiled('dist/src/config.js')
  const rows = help('')
    .split('\n')
    .map(line => /^ {2}bosmount (\S+(?: [[<]\S+)*) {2,}(.*?)( {2}\[.*)?$/.exec(line.trimEnd()))
    .filter(match => match !== null)
    .map(match => [match[1], match[2]])
  const options = OPTIONS.map(({ name, help: text, fallback, secret, environment }) => [
    secret === true ? name : `--${name}`,
    `${text}. Default: ${fallback}. Environment: ${environment.join(', ')}.` +
      (secret === true ? ' Never on the command line.' : ''),
  ])
  return page('BOSMOUNT', 1, [
    ['NAME', 'bosmount \\- mount a Baidu Object Storage bucket, and work on it without a mount'],
    [
      'SYNOPSIS',
      '.B bosmount mount\n.I BUCKET[/ROOTDIRECTORY] MOUNTPOINT\n[\\-o OPTIONS] [\\-\\-flags]\n.br\n.B bosmount\n.I COMMAND\n[\\-\\-help]',
    ],
    [
      'DESCRIPTION',
      roff(
        'Files below the mount point are objects of the bucket under their own names. When close(2) or ' +
          'fsync(2) returns without an error, the data is in the bucket. The command returns when the mount ' +
          'answers; umount stores what is left and returns when all is in the bucket.',
      ),
    ],
    ['COMMANDS', items(rows)],
    ['OPTIONS', items(options)],
    [
      'EXIT STATUS',
      items([
        ['0', 'Done.'],
        ['1', 'Failed.'],
        ['2', 'The command line or the configuration is wrong; nothing was done.'],
        ['3', 'A check has found something: registry verify, doctor.'],
        ['128+N', 'Ended by signal N.'],
      ]),
    ],
    [
      'SIGNALS',
      roff(
        'SIGINT and SIGTERM unmount as soon as nothing is open; a second one detaches the mount at once, ' +
          'and what is open is stored when it is closed. SIGHUP opens the log file anew, for logrotate(8); at a ' +
          'terminal, or without a log file, it unmounts. SIGUSR1 makes the log tell every request (level debug), ' +
          'SIGUSR2 sets the level that was configured again.',
      ),
    ],
    [
      'FILES',
      items([
        ['/run/bosmount, $XDG_RUNTIME_DIR/bosmount', 'Records and control sockets of mounts.'],
        ['/var/lib/bosmount, $XDG_STATE_HOME/bosmount', 'What must outlive a reboot.'],
        ['/var/log/bosmount', 'Logs of mounts in the background that root has made.'],
        ['~/.go-bcecli/credentials', 'Credentials, if nothing else gives any.'],
      ]),
    ],
    ['SEE ALSO', '.BR mount.bosmount (8),\n.BR fusermount3 (1),\n.BR fuse (4)'],
  ])
}

/** docs/man/mount.bosmount.8 */
export async function helperManual() {
  const { OPTIONS } = await compiled('dist/src/config.js')
  const options = OPTIONS.filter(({ secret }) => secret !== true).map(
    ({ name, help: text, fallback, type }) => [
      type === 'boolean' ? name : `${name}=…`,
      `${text}. Default: ${fallback}.`,
    ],
  )
  return page('MOUNT.BOSMOUNT', 8, [
    ['NAME', 'mount.bosmount \\- mount(8) helper for buckets of Baidu Object Storage'],
    [
      'SYNOPSIS',
      '.B mount \\-t fuse.bosmount\n.I BUCKET[/ROOTDIRECTORY] DIRECTORY\n[\\-o OPTIONS]\n.br\n.B mount.bosmount\n.I BUCKET[/ROOTDIRECTORY] DIRECTORY\n[\\-sfnv] [\\-o OPTIONS]',
    ],
    [
      'DESCRIPTION',
      roff(
        'A line of fstab:\n\n' +
          'my-bucket/team /srv/team fuse.bosmount region=bj,credentialsfile=/etc/bosmount/credentials,_netdev,nofail 0 0\n\n' +
          'mount(8) hands the type fuse.bosmount to mount.fuse3(8), which runs bosmount without the caller’s PATH: ' +
          'bosmount must be in /usr/local/bin or /usr/bin, and node in /usr/bin or /bin.\n\n' +
          'With a link in the only place where mount(8) looks for helpers, ln -s /usr/local/bin/mount.bosmount /sbin/, ' +
          'the type bosmount works as well, without mount.fuse3(8); and mount -f, which that does not know and mounts.',
      ),
    ],
    ['OPTIONS', `${roff('Hyphens may be written as underscores.')}\n${items(options)}`],
    [
      'OPTIONS OF OTHERS',
      items([
        ['ro, rw', 'Refuse or allow changes; the last one counts.'],
        [
          'uid=, gid=, umask=, fmask=, dmask=',
          'Owner of what the bucket holds, and bits that its modes lack.',
        ],
        ['noexec, nosuid, nodev, exec, suid, dev, noatime, sync, dirsync', 'Given to the kernel.'],
        [
          '_netdev, nofail, auto, noauto, user, users, defaults, relatime, default_permissions, x-*',
          'For mount(8) and systemd, or true anyway.',
        ],
        [
          'ak, sk, passwd, token and the like',
          'Refused: every user of the machine could read them.',
        ],
      ]),
    ],
    ['SEE ALSO', '.BR bosmount (1),\n.BR mount (8),\n.BR fstab (5),\n.BR systemd.mount (5)'],
  ])
}

/** All pages by their paths. */
export async function commandPages() {
  return {
    'docs/COMMANDS.md': commandsPage(),
    'docs/man/bosmount.1': await commandManual(),
    'docs/man/mount.bosmount.8': await helperManual(),
  }
}

function current(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

if (process.argv[2] === '--print-helps') await printHelps()
else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(`${PROJECT}docs/man`, { recursive: true })
  for (const [path, text] of Object.entries(await commandPages())) {
    if (text === current(PROJECT + path)) continue
    writeFileSync(PROJECT + path, text)
    process.stdout.write(`${path} was written\n`)
  }
}
