import t from 'tap'
import { formatBytes, GiB, KiB, MiB, parseBytes, parseDuration, TiB } from '../../src/util/units.js'

const SIZES: readonly (readonly [string, number | undefined])[] = [
  ['0', 0],
  ['10485760', 10_485_760],
  ['10m', 10 * MiB],
  ['10M', 10 * MiB],
  ['10MB', 10 * MiB],
  ['10MiB', 10 * MiB],
  ['10 mib', 10 * MiB],
  ['  64k ', 64 * KiB],
  ['1.5G', 1.5 * GiB],
  ['2t', 2 * TiB],
  ['17b', 17],
  ['0.3', 0],
  ['', undefined],
  ['m', undefined],
  ['-1', undefined],
  ['+1', undefined],
  ['1e6', undefined],
  ['1,5m', undefined],
  ['10 apples', undefined],
  ['0x10', undefined],
  ['Infinity', undefined],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ['9007199254740993', undefined],
  ['99999999t', undefined],
]

void t.test('sizes are read', t => {
  for (const [text, bytes] of SIZES) t.equal(parseBytes(text), bytes, JSON.stringify(text))
  t.end()
})

const DURATIONS: readonly (readonly [string, number | undefined])[] = [
  ['0', 0],
  ['250ms', 250],
  ['1s', 1000],
  ['1', 1000],
  ['0.5', 500],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  [' 3 S ', 3000],
  ['', undefined],
  ['s', undefined],
  ['-1s', undefined],
  ['1w', undefined],
  ['1h30m', undefined],
  ['99999999999999999999', undefined],
  [`${'9'.repeat(400)}ms`, undefined],
]

void t.test('durations are read, a bare number as seconds', t => {
  for (const [text, duration] of DURATIONS) {
    t.equal(parseDuration(text), duration, JSON.stringify(text).slice(0, 30))
  }
  t.end()
})

void t.test('sizes are written for people', t => {
  const table: readonly (readonly [number, string])[] = [
    [0, '0 bytes'],
    [1, '1 byte'],
    [17, '17 bytes'],
    [1023, '1023 bytes'],
    [KiB, '1 KiB'],
    [10 * MiB, '10 MiB'],
    [1.5 * GiB, '1.5 GiB'],
    [2 * TiB, '2 TiB'],
  ]
  for (const [bytes, text] of table) t.equal(formatBytes(bytes), text)
  t.end()
})
