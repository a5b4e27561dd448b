/** Certificates as a test needs them, made by openssl in a folder that goes with the test. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export interface Identity {
  readonly key: string
  readonly cert: string
}

export class Authority {
  readonly folder: string
  /** The authority's own certificate. */
  readonly certificateFile: string

  constructor(t: Test, name = 'authority of a test') {
    this.folder = mkdtempSync(join(tmpdir(), 'bos-tls-'))
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
    this.certificateFile = join(this.folder, 'ca.pem')
    const out = ['-keyout', join(this.folder, 'ca.key'), '-out', this.certificateFile]
    openssl(['req', '-x509', ...NEW_KEY, ...out, '-days', '2', '-subj', `/CN=${name}`])
  }

  /** A server's certificate for names as `DNS:localhost,IP:127.0.0.1`. */
  issue(names: string, days = 2): Identity {
    const [key, request, cert, extensions] = ['key', 'csr', 'pem', 'ext'].map(suffix =>
      join(this.folder, `server.${suffix}`),
    ) as [string, string, string, string]
    openssl(['req', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', '/CN=server'])
    writeFileSync(extensions, `subjectAltName=${names}\n`)
    const signer = ['-CA', this.certificateFile, '-CAkey', join(this.folder, 'ca.key')]
    const serial = ['-set_serial', String(Date.now())]
    const rest = ['-days', String(days), '-extfile', extensions]
    openssl(['x509', '-req', '-in', request, ...signer, ...serial, '-out', cert, ...rest])
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' })
}
