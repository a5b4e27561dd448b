import { inspect } from 'node:util'
import t from 'tap'
import { parseCredentialsFile } from '../../../src/driver/credentials/credentials-file.js'

const CLI = `# made by bcecmd
[Defaults]
Ak = my-id
Sk = my-secret=with=signs
Sts =
`
const BOSFS2 = `[defaults]
bce_access_key_id=my-id
bce_secret_access_key="my-secret"
bce_security_token=my-token
reload_interval_s=30

[other]
anything = goes
`

void t.test("the file of Baidu's CLI is understood", async t => {
  const { credentials, reloadInterval } = parseCredentialsFile(CLI)
  t.equal(credentials.accessKeyId, 'my-id')
  t.equal(credentials.secretAccessKey.reveal(), 'my-secret=with=signs')
  t.equal(credentials.sessionToken, undefined)
  t.equal(reloadInterval, undefined)
})

void t.test('the file of bosfs2 is understood', async t => {
  const { credentials, reloadInterval } = parseCredentialsFile(BOSFS2.replaceAll('\n', '\r\n'))
  t.equal(credentials.accessKeyId, 'my-id')
  t.equal(credentials.secretAccessKey.reveal(), 'my-secret')
  t.equal(credentials.sessionToken?.reveal(), 'my-token')
  t.equal(reloadInterval, 30_000)
})

const MISTAKES: readonly (readonly [text: string, problem: RegExp])[] = [
  ['', /^no access key id/],
  ['[Defaults]\nAk = x\n', /^no secret/],
  ['[Defaults]\nSk = hidden\n', /^no access key id/],
  ['[Defaults]\nAk = x\nhidden\n', /^line 3: neither/],
  ['Ak = hidden\n', /^line 1: a value before/],
  [
    '[Defaults]\n\nAk = hidden/slash\nSk = s\n',
    /^line 3: the access key id has a space or a slash/,
  ],
  ['[Defaults]\nAk = x\nSk = hidden\nsk = hidden\n', /^line 4: a value is given twice/],
  ['[defaults]\nAk=x\nSk=hidden\nreload_interval_s=hidden\n', /^line 4: reload_interval_s/],
  ['[elsewhere]\nAk = x\nSk = hidden\n', /^no access key id/],
]

void t.test('a mistake is told by its line, never by its content', async t => {
  for (const [text, problem] of MISTAKES) {
    try {
      parseCredentialsFile(text)
      t.fail(`no mistake found in ${JSON.stringify(text)}`)
    } catch (error) {
      t.match(error, { code: 'CREDENTIALS_FILE', message: problem })
      t.notMatch(inspect(error, { depth: 9, showHidden: true }), /hidden/)
    }
  }
})
