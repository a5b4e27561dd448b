/**
 * Which HTTP proxy to use: the parameter, or else what the environment says in the way that curl and Go
 * read it. HTTPS_PROXY is for https endpoints; HTTP_PROXY, in lower case only because a web server
 * would set the other from a request, for http. NO_PROXY lists hosts to reach directly. This machine
 * itself is never reached through a proxy that only the environment names.
 */
import { BlockList, isIP } from 'node:net'
import { Secret } from '../../util/secret.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** The proxy for an origin; undefined is none. */
export function chooseProxy(
  origin: string,
  { proxy, environment }: { proxy?: Secret | undefined; environment: Environment },
): Secret | undefined {
  if (proxy !== undefined) return proxy
  const url = new URL(origin)
  const names = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy']
  const value = names.map(name => environment[name]).find(found => (found ?? '') !== '')
  if (value === undefined || isLoopback(url.hostname)) return undefined
  const exceptions = environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''
  if (isExcepted(url, exceptions)) return undefined
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  return URL.canParse(text) && /^https?:/i.test(text) ? new Secret(text) : undefined
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function isLoopback(hostname: string): boolean {
  const host = bare(hostname)
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('127.')
  )
}

/** `*`, `host`, `.domain`, `domain`, address, address/bits; each with `:port` or without. */
function isExcepted(url: URL, list: string): boolean {
  const host = bare(url.hostname).toLowerCase()
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return list
    .split(/[\s,]+/)
    .filter(entry => entry !== '')
    .some(entry => {
      if (entry === '*') return true
      const [, name = '', wanted] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(entry.toLowerCase()) ?? []
      if (isIP(entry) === 6) return entry.toLowerCase() === host
      if (wanted !== undefined && wanted !== port) return false
      if (name.includes('/')) return isInNetwork(host, name)
      const domain = name.replace(/^\*?\./, '')
      return host === domain || host.endsWith(`.${domain}`)
    })
}

function isInNetwork(host: string, network: string): boolean {
  const [address = '', bits] = network.split('/')
  const family = isIP(address)
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits ?? '')) return false
  if (Number(bits) > (family === 4 ? 32 : 128)) return false
  const type = family === 4 ? 'ipv4' : 'ipv6'
  const list = new BlockList()
  list.addSubnet(address, Number(bits), type)
  return list.check(host, type)
}
