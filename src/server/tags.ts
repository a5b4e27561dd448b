/** Tags of objects: in the `x-bce-tagging` header, and as the JSON of the `tagging` sub-resource. Pure. */
import { isRecord } from './body.js'
import { ServiceError } from './errors.js'
import { uriDecode } from './names.js'

export type Tags = Readonly<Record<string, string>>

const MAX_HEADER = 4000
const MAX_NAME = 128
const MAX_VALUE = 256

/** Reads `a=1&b=2`. @throws ServiceError InvalidArgument */
export function readTagHeader(value: string | string[] | undefined): Tags | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  if (value.length > MAX_HEADER) throw invalid('The tags are too long.')
  return check(
    value.split('&').map((pair): readonly [string, string] => {
      const [name = '', text = ''] = pair.split(/=(.*)/s, 2)
      return [uriDecode(name), uriDecode(text)]
    }),
  )
}

/** Both forms of a tag are taken: `{tagInfo: {name: value}}` and `{key, value}`. */
export function readTagBody(body: unknown): Tags {
  const set: unknown = isRecord(body) ? body['tagSet'] : undefined
  if (!Array.isArray(set)) throw new ServiceError('InappropriateJSON')
  return check(set.flatMap((tag: unknown) => readTag(tag)))
}

function readTag(tag: unknown): readonly (readonly [string, string])[] {
  const info: unknown = isRecord(tag) ? tag['tagInfo'] : undefined
  const pairs = isRecord(info) ? Object.entries(info) : []
  if (isRecord(tag) && 'key' in tag) pairs.push([String(tag['key']), tag['value']])
  if (pairs.length === 0) throw new ServiceError('InappropriateJSON')
  return pairs.map(([name, value]) => {
    if (typeof value !== 'string') throw new ServiceError('InappropriateJSON')
    return [name, value]
  })
}

function check(pairs: readonly (readonly [string, string])[]): Tags {
  const tags: Record<string, string> = {}
  for (const [name, value] of pairs) {
    if (name === '' || name.length > MAX_NAME)
      throw invalid(`The tag ${name} is too long or empty.`)
    if (value.length > MAX_VALUE) throw invalid(`The value of the tag ${name} is too long.`)
    tags[name] = value
  }
  return tags
}

export function describeTags(tags: Tags = {}): object {
  return { tagSet: Object.entries(tags).map(([name, value]) => ({ tagInfo: { [name]: value } })) }
}

function invalid(message: string): ServiceError {
  return new ServiceError('InvalidArgument', { message })
}
