/** The way to the endpoint, step by step: name, connection, TLS, an answer, and what time it is there. */
import { lookup } from 'node:dns/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { readAuthorities } from '../../driver/bos/authorities.js'
import { chooseProxy } from '../../driver/bos/proxy.js'
import { addressing } from '../../driver/parameters.js'
import type { BosParameters } from '../../driver/parameters.js'
import type { Milliseconds } from '../../util/units.js'
import { look } from './check.js'
import type { Finding, Say } from './check.js'

const DEADLINE: Milliseconds = 10_000
/** BOS refuses requests that are a quarter of an hour off. */
const REFUSED_SKEW: Milliseconds = 15 * 60_000
const NOTED_SKEW: Milliseconds = 60_000

/** @returns whether the endpoint answers */
export async function checkNetwork(say: Say, parameters: BosParameters): Promise<boolean> {
  const { origin } = addressing(parameters)
  const url = new URL(origin)
  const proxy = chooseProxy(origin, { proxy: parameters.proxy, environment: process.env })
  if (proxy !== undefined) {
    const detail = 'a proxy is in between: only the bucket itself is tried'
    await say({ check: 'network', status: 'skip', detail })
    return true
  }
  const host = url.hostname.replaceAll(/^\[|\]$/g, '')
  const hasName = await look(
    say,
    'DNS',
    'check endpoint and region, /etc/resolv.conf and the network',
    async () => {
      const addresses = await lookup(host, { all: true })
      return `${host} is ${addresses.map(({ address }) => address).join(', ')}`
    },
  )
  if (!hasName) return false
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const isReachable = await look(
    say,
    'endpoint',
    `let this machine connect to ${host}:${port}, or set proxy`,
    () => reach(host, port),
  )
  if (!isReachable) return false
  if (url.protocol === 'https:') {
    const advice = 'check endpoint, cafile and the clock of this machine'
    if (!(await look(say, 'TLS', advice, () => handshake(host, port, parameters)))) return false
  } else {
    const detail = 'not used: everybody on the way can read and change everything'
    const isLocal = /^(127\.|localhost$|::1$)/.test(host)
    const advice = 'set secure to true, if the endpoint speaks TLS'
    await say(
      isLocal
        ? { check: 'TLS', status: 'ok', detail: 'not used, and not needed on this machine' }
        : { check: 'TLS', status: 'warn', detail, advice },
    )
  }
  await look(say, 'clock', 'set the clock: timedatectl set-ntp true', () => skew(url, parameters))
  return true
}

async function reach(host: string, port: number): Promise<string> {
  const begun = performance.now()
  const socket = connect({ host, port, timeout: DEADLINE })
  try {
    await settled(socket, 'connect')
  } finally {
    socket.destroy()
  }
  return `${host}:${port} takes connections, in ${(performance.now() - begun).toFixed(1)} ms`
}

async function handshake(
  host: string,
  port: number,
  { cafile, skipverify }: BosParameters,
): Promise<string | Omit<Finding, 'check'>> {
  const ca = cafile === undefined ? {} : { ca: readAuthorities(cafile) }
  const socket = connectTls({
    host,
    port,
    servername: host,
    timeout: DEADLINE,
    ...ca,
    rejectUnauthorized: !skipverify,
  })
  try {
    await settled(socket, 'secureConnect')
    const until = socket.getPeerCertificate().valid_to
    const detail = `${socket.getProtocol() ?? 'TLS'}, certificate valid until ${until}`
    if (!skipverify) return detail
    return {
      status: 'warn',
      detail: `${detail}; not verified`,
      advice: 'set cafile, not skipverify',
    }
  } finally {
    socket.destroy()
  }
}

function settled(socket: ReturnType<typeof connect>, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve())
    socket.once('error', reject)
    socket.once('timeout', () => reject(new Error('no answer within 10 s')))
  })
}

async function skew(url: URL, parameters: BosParameters): Promise<string | Omit<Finding, 'check'>> {
  const before = Date.now()
  const date = await dateOf(url, parameters)
  const after = Date.now()
  if (date === undefined) return { status: 'skip', detail: 'the endpoint does not tell its time' }
  // The header has whole seconds.
  const ahead = date < before - 1000 ? before - 1000 - date : Math.min(0, after - date)
  const amount = Math.abs(Math.round(ahead / 1000))
  const detail = `${amount} s ${ahead > 0 ? 'ahead of' : 'behind'} the endpoint`
  const advice = 'set the clock: timedatectl set-ntp true'
  if (Math.abs(ahead) >= REFUSED_SKEW) return { status: 'fail', detail, advice }
  if (Math.abs(ahead) >= NOTED_SKEW) return { status: 'warn', detail, advice }
  return amount === 0 ? 'agrees with the endpoint' : detail
}

/** The time in the header Date of any answer, whatever it says. */
function dateOf(
  url: URL,
  { cafile, skipverify }: BosParameters,
): Promise<Milliseconds | undefined> {
  return new Promise((resolve, reject) => {
    const ca = cafile === undefined ? {} : { ca: readAuthorities(cafile) }
    const options = { method: 'HEAD', signal: AbortSignal.timeout(DEADLINE) }
    const request =
      url.protocol === 'https:'
        ? httpsRequest(url, { ...options, ...ca, rejectUnauthorized: !skipverify })
        : httpRequest(url, options)
    request.on('error', reject)
    request.on('response', response => {
      response.resume()
      const time = Date.parse(response.headers.date ?? '')
      resolve(Number.isNaN(time) ? undefined : time)
    })
    request.end()
  })
}
