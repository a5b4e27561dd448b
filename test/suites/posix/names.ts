/** Names of every kind: each is made, found, listed as it was given, renamed and removed. */
import { Buffer } from 'node:buffer'
import { contentOf, list, O, tried, writeFile } from './os.js'
import type { AnyCase, Case, Result } from './os.js'

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'spaces and control characters': [' ', ' x', 'x ', 'a  b', '\t', '\n', 'a\nb', '\x01', '\x7f'],
  'characters that URLs, XML and shells take for something else': [
    '%',
    '%2F',
    '%00',
    '%zz',
    'a%20b',
    '?',
    'a?b=c',
    '#',
    '+',
    'a+b',
    '&',
    '&amp;',
    '<',
    '>',
    '"',
    "'",
    '\\',
    '*',
    ':',
    ';',
    '|',
    '~',
    '$HOME',
    '`',
    '!',
    '[a]',
    '{b}',
    '=',
    '@',
    ',',
    '^',
  ],
  'dots and dashes': ['...', '.hidden', '..x', 'x.', '-', '-rf', '--'],
  'scripts and signs beyond ASCII': [
    'ü',
    'ß',
    '中文目录',
    'العربية',
    'हिन्दी',
    '한국어',
    '日本',
    '\u00a0',
  ],
  'combining forms that look alike': [
    '\u00e9',
    'e\u0301',
    '\u212b',
    '\u00c5',
    'A\u030a',
    'ﬁ',
    'fi',
  ],
  'signs beyond the basic plane': ['🦀', '👩‍👩‍👧‍👦', '𝔘𝔫𝔦', '\u{10ffff}', '\u{1f1e8}\u{1f1f3}'],
  'invisible and odd ones': ['\u200b', '\ufeff', '\u202e', '\ufffd', '\uffff', '\ue000'],
  'upper and lower case': ['Name', 'name', 'NAME', 'İ', 'i', 'I', 'ı'],
}

const LENGTHS: readonly string[] = [
  'x'.repeat(255),
  'x'.repeat(256),
  '中'.repeat(85),
  '中'.repeat(86),
  '🦀'.repeat(63) + 'abc',
  '🦀'.repeat(64),
]

function namesCase([title, names]: readonly [string, readonly string[]]): Case {
  return {
    title: `names: ${title}`,
    run: async os => {
      const results: Result[] = []
      for (const name of names) results.push(await tried(() => writeFile(os, `/${name}`, name)))
      results.push(await list(os, '/'))
      for (const name of names) results.push(await contentOf(os, `/${name}`))
      for (const name of names) results.push(await tried(() => os.rename(`/${name}`, `/${name}2`)))
      results.push(await list(os, '/'))
      for (const name of names) {
        results.push(await tried(() => os.unlink(`/${name}2`)))
        results.push(await tried(() => os.mkdir(`/${name}`)))
        results.push(await tried(() => writeFile(os, `/${name}/${name}`, 'inside')))
        results.push(await contentOf(os, `/${name}/${name}`))
      }
      return [...results, await list(os, '/')]
    },
  }
}

export const nameCases: readonly AnyCase[] = [
  ...Object.entries(NAMES).map(namesCase),
  {
    title: 'names of up to 255 bytes are taken, longer ones refused by every call',
    run: async os => {
      await writeFile(os, '/f', 'x')
      const results: Result[] = []
      for (const name of LENGTHS) {
        const path = `/${name}`
        results.push(
          await tried(async () => (await os.stat(path)).size),
          await tried(() => os.mkdir(path)),
          await tried(() => os.rmdir(path)),
          await tried(() => writeFile(os, path, 'long')),
          await tried(() => os.rename('/f', path)),
          await tried(() => os.rename(path, '/f')),
          await tried(() => os.truncate(path, 1)),
          await tried(() => os.unlink(path)),
        )
      }
      return [...results, await list(os, '/')]
    },
  },
  {
    title: 'names that are not UTF-8',
    onKernel: async os => {
      const results: Result[] = []
      for (const bytes of [[0xff], [0xc3], [0x61, 0x80], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
        const path = Buffer.from([0x2f, ...bytes])
        results.push(
          await tried(async () => (await os.stat(path)).size),
          await tried(async () => (await os.open(path, O.wronly | O.creat)).close()),
          await tried(() => os.mkdir(path)),
          await tried(() => os.symlink('target', path)),
          await tried(() => os.unlink(path)),
        )
      }
      return [...results, (await list(os, '/')).length]
    },
  },
  {
    title: 'deep paths, up to the length that a path may have',
    run: async os => {
      let path = ''
      const results: Result[] = []
      for (let i = 0; i < 9; i += 1) {
        path += `/${'d'.repeat(100)}`
        results.push(await tried(() => os.mkdir(path)))
      }
      results.push(await tried(() => writeFile(os, `${path}/file`, 'deep')))
      return [...results, await contentOf(os, `${path}/file`)]
    },
  },
]
