/**
 * `npm run docs:config`: writes docs/CONFIGURATION.md from the table of options, so that the page
 * cannot say anything else than the program does. What no table knows is prose below.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'

const PROJECT = new URL('../', import.meta.url)
const PAGE = new URL('docs/CONFIGURATION.md', PROJECT)

/** The sections of the table, with what is said about each before its options. */
const GROUPS = [
  [
    'BOS',
    'The parameters of the storage driver, named as in a registry’s `storage: bos:` section. ' +
      'The eight of a registry’s BOS driver are among them: `accesskeyid`, `accesskeysecret`, ' +
      '`region`, `bucket`, `endpoint`, `secure`, `chunksize`, `rootdirectory`.',
  ],
  ['Mount', 'How the mount looks to programs and to the kernel.'],
  ['Cache', 'How much is kept, and for how long it is believed.'],
  ['Logging', 'What is said, and where.'],
]

/** Parameters of the S3 driver that mean the same here under the same name. */
const SAME_IN_S3 = [
  'region',
  'redirectendpoint',
  'bucket',
  'encrypt',
  'secure',
  'skipverify',
  'chunksize',
  'multipartcopychunksize',
  'multipartcopymaxconcurrency',
  'multipartcopythresholdsize',
  'rootdirectory',
  'storageclass',
  'useragent',
  'objectacl',
  'maxthreads',
]

const KINDS = {
  text: 'text',
  bytes: 'size',
  duration: 'time',
  boolean: 'true, false',
  octal: 'octal mode',
  integer: 'whole number',
}

/** The whole page. */
export async function configurationPage() {
  const { OPTIONS } = await compiled('dist/src/config.js')
  const { S3_ONLY_PARAMETERS } = await compiled('dist/src/driver/s3-parameters.js')
  const { REGION_ENDPOINTS } = await compiled('dist/src/driver/endpoint.js')
  const parts = [INTRODUCTION]
  for (const [group, text] of GROUPS) {
    const options = OPTIONS.filter(option => option.group === group)
    parts.push(`## ${group}\n\n${text}\n\n${optionTable(options)}`)
  }
  parts.push(regions(REGION_ENDPOINTS), DETAILS, s3Table(S3_ONLY_PARAMETERS), EXAMPLES)
  return `${parts.map(part => part.trim()).join('\n\n')}\n`
}

function compiled(path) {
  return import(pathToFileURL(fileURLToPath(new URL(path, PROJECT))).href)
}

function cell(text) {
  return text.replaceAll('|', '\\|')
}

function table(head, rows) {
  const line = cells => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function optionTable(options) {
  const rows = options.map(({ name, type, choices, fallback, help, secret, aliases = [] }) => [
    [name, ...aliases].map(each => `\`${each}\``).join(', '),
    choices === undefined ? KINDS[type] : choices.map(choice => `\`${choice}\``).join(', '),
    fallback,
    secret === true ? `${help}; never on the command line` : help,
  ])
  const variables = options.map(({ name, environment }) => [
    `\`${name}\``,
    environment.map(each => `\`${each}\``).join(', '),
  ])
  return `${table(['option', 'value', 'default', 'meaning'], rows)}

Environment variables, the strongest first:

${table(['option', 'variables'], variables)}`
}

function regions(endpoints) {
  const rows = Object.entries(endpoints).map(([region, host]) => [`\`${region}\``, `\`${host}\``])
  return `### Regions\n\n${table(['region', 'endpoint'], rows)}`
}

function s3Table(answers) {
  const same = SAME_IN_S3.map(name => [`\`${name}\``, 'the same'])
  const others = Object.entries(answers).map(([name, answer]) => [`\`${name}\``, answer])
  const rows = [...same, ...others].sort(([one], [other]) => (one < other ? -1 : 1))
  return `## Coming from the S3 driver

Parameters of distribution's S3 driver, and what becomes of them. Those without sense for BOS are
refused with this answer, not ignored.

${table(['S3 driver', 'here'], rows)}`
}

const INTRODUCTION = `
<!-- Written by \`npm run docs:config\` from src/config.ts; change it there. -->

# Configuration

Every option can be given in four places. The strongest wins, option by option:

1. the command line: \`--chunksize 20m\`, or \`-o chunksize=20m,ro\` as in fstab (hyphens may be
   underscores);
2. the environment: the variables in the tables below;
3. a YAML file, \`--config FILE\`: either options by their names, those of BOS also in a section \`bos\`; or a
   registry's own \`config.yml\`, of which the section \`storage: bos:\` is read and all else left alone;
4. for credentials alone: Baidu's own \`~/.go-bcecli/credentials\`, if nothing else gives any.

Everything is checked before anything is done. All mistakes are told at once, each with the place it
came from, and the exit code is 2. An option that is not known is a mistake.

**Secrets** (marked in the table) are never taken from the command line, where every user of the machine
can read them; they are never logged, and no error message has them.

**Sizes** are numbers of bytes or have a unit: \`10485760\`, \`10m\`, \`10MB\` and \`10MiB\` are the same; all units are
binary. **Times** have a unit, \`500ms\`, \`1s\`, \`5m\`, \`2h\`; without one they are seconds.
`

const DETAILS = `
### Credentials

One of three ways; the strongest place that has any of them decides which:

- **Keys:** \`accesskeyid\` and \`accesskeysecret\`, with \`sessiontoken\` if they are temporary (STS).
- **A file:** \`credentialsfile\`. It is looked at every 5 seconds, or as often as it says, and at once when
  BOS refuses what it had; so temporary credentials are rotated by replacing the file, without a remount. A file that
  others can read is warned about. A mistake in it is told by its line, never by its content, and what was
  read before is used further. Two formats are understood:

\`\`\`ini
# Baidu's command line tool
[Defaults]
Ak = …
Sk = …
Sts = …
\`\`\`

\`\`\`ini
# bosfs2
[defaults]
bce_access_key_id = …
bce_secret_access_key = …
bce_security_token = …
reload_interval_s = 60
\`\`\`

- **A command:** \`credentialscommand\`, run by \`/bin/sh -c\`, at most 30 seconds. It prints one JSON object, as Baidu's STS
  answers. With an \`expiration\` it is run again five minutes before (or in the last quarter of a short
  life), in the background; without one, only when BOS refuses the credentials. Its output is never logged.

\`\`\`json
{
  "accessKeyId": "…",
  "secretAccessKey": "…",
  "sessionToken": "…",
  "expiration": "2030-01-01T00:00:00Z"
}
\`\`\`

### Endpoint, addressing and TLS

- \`endpoint\` is a host, host:port or URL. A scheme in it decides between HTTPS and HTTP; one that
  contradicts \`secure\` is a mistake. Without a scheme it is HTTPS unless \`secure\` is false.
- \`addressing: auto\` puts the bucket into the host at \`*.bcebos.com\`, as BOS demands of buckets made since June
  2024, and into the path elsewhere. \`cname\` is for a domain bound to the bucket: it is in neither.
- Certificates are verified against the authorities that Node.js brings, or those in \`cafile\` alone. A certificate of
  an unknown authority, for another host name or out of its time fails the mount, and the message says
  which. \`skipverify\` takes anything and is warned about in the log.
- \`proxy\`, or else the variable \`HTTPS_PROXY\` (\`http_proxy\` for an HTTP endpoint), names an HTTP proxy that is asked for a
  tunnel by CONNECT. \`NO_PROXY\` lists hosts, domains and networks to reach directly; this machine itself is
  never reached through a proxy that only the environment names.

### Objects

- \`storageclass\` is for new files; a copy or rename keeps its source's class, and directory markers have the bucket's.
  ARCHIVE is refused: an archived object cannot be read before it is restored.
- \`chunksize\` is the size of the first thousand parts of a file; behind them each part is a thousandth of what lies before
  it, so that the 10,000 parts that BOS takes reach 15 TiB and more.
- \`maxthreads\` bounds all requests at once. When BOS asks to slow down (429, 503) the bound halves, and rises again
  with good answers. A quarter of it is kept for requests that move few bytes.
`

const EXAMPLES = `
## Examples

A mount of one directory of a bucket, keys from the environment:

\`\`\`sh
export BCE_ACCESS_KEY_ID=… BCE_SECRET_ACCESS_KEY=…
bosmount mount my-bucket/registry /srv/registry --region bj
\`\`\`

The same in fstab, with a credentials file:

\`\`\`
my-bucket/registry /srv/registry fuse.bosmount region=bj,credentialsfile=/etc/bosmount/credentials,_netdev 0 0
\`\`\`

A registry's own configuration, as it is:

\`\`\`yaml
storage:
  bos:
    accesskeyid: …
    accesskeysecret: …
    region: bj
    bucket: my-bucket
    chunksize: 20971520
    rootdirectory: /registry
\`\`\`

A file of bosmount's own, for a private installation behind its own authority:

\`\`\`yaml
bos:
  endpoint: https://bos.example.com
  addressing: path
  cafile: /etc/ssl/example-ca.pem
  bucket: my-bucket
  credentialscommand: /usr/local/bin/sts-credentials
metadata-ttl: 5s
cache-memory: 1GiB
\`\`\`
`

async function main() {
  const page = await configurationPage()
  const before = (() => {
    try {
      return readFileSync(PAGE, 'utf8')
    } catch {
      return ''
    }
  })()
  if (page === before) return
  writeFileSync(PAGE, page)
  process.stdout.write('docs/CONFIGURATION.md was written\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
