/** Unit aliases (they document, they do not convert) and sizes as people write them. */

/** A number of bytes. */
export type Bytes = number
/** A duration in milliseconds. */
export type Milliseconds = number

export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: KiB, m: MiB, g: GiB, t: TiB }

/**
 * Reads a size such as `10485760`, `10m`, `10MB`, `10MiB` or `1.5G`. All units are binary, as in
 * docker/distribution's own configuration.
 *
 * @returns bytes, or undefined if the text is not a size that fits a safe integer
 */
export function parseBytes(text: string): Bytes | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim())
  if (match === null) return undefined
  const factor = FACTORS[(match[2] ?? '').toLowerCase()] ?? 1
  const bytes = Number(match[1]) * factor
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined
}

/** Writes a size for people: `10 MiB`, `1.5 GiB`, `17 bytes`. */
export function formatBytes(bytes: Bytes): string {
  const units: readonly (readonly [string, number])[] = [
    ['TiB', TiB],
    ['GiB', GiB],
    ['MiB', MiB],
    ['KiB', KiB],
  ]
  for (const [unit, factor] of units) {
    if (bytes >= factor) return `${Number((bytes / factor).toFixed(1))} ${unit}`
  }
  return bytes === 1 ? '1 byte' : `${bytes} bytes`
}

/**
 * Reads a duration such as `250ms`, `1s`, `5m`, `2h`; a bare number is seconds.
 *
 * @returns milliseconds, or undefined if the text is not a duration that fits a safe integer
 */
export function parseDuration(text: string): Milliseconds | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/i.exec(text.trim())
  if (match === null) return undefined
  const factors: Readonly<Record<string, number>> = {
    ms: 1,
    s: 1000,
    m: 60_000,
    h: 3_600_000,
    d: 86_400_000,
  }
  const factor = factors[(match[2] ?? 's').toLowerCase()] ?? 1000
  const duration = Math.round(Number(match[1]) * factor)
  return Number.isSafeInteger(duration) ? duration : undefined
}
