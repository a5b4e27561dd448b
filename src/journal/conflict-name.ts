/** What a file is called whose name another host's file has. Pure. */
import { baseName, MAX_COMPONENT_BYTES } from '../driver/path.js'
import type { Milliseconds } from '../util/units.js'

/** `/a/name` as `/a/name.conflict-host-20240501T120000Z`, cut where it would be too long. */
export function conflictName(
  path: string,
  { host, time, number }: { readonly host: string; readonly time: Milliseconds; number: number },
): string {
  const name = baseName(path)
  const when = new Date(time).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const who = host.replaceAll(/[^A-Za-z0-9-]+/g, '-').slice(0, 40)
  const suffix = `.conflict-${who}-${when}${number === 1 ? '' : `-${number}`}`
  let kept = name
  while (Buffer.byteLength(kept + suffix) > MAX_COMPONENT_BYTES) {
    // Never half of a character.
    kept = Array.from(kept).slice(0, -1).join('')
  }
  return `${path.slice(0, path.length - name.length)}${kept}${suffix}`
}
