/** What watches a mount: sums for `bosmount stats`, metrics for Prometheus, and the control socket. */
import type { MountConfig } from '../config.js'
import { openEndpoint } from '../metrics/endpoint.js'
import type { PrometheusObserver } from '../metrics/prometheus.js'
import { several, Tally } from '../metrics/tally.js'
import type { RunningMount } from '../mount.js'
import type { Logger } from '../util/log.js'
import type { Observer } from '../util/observer.js'
import { openControl } from './control.js'
import { isMounted } from './mounts.js'

export interface Instruments {
  readonly observer: Observer
  /** Once the mount answers. */
  attach(mount: RunningMount): Promise<void>
  close(): Promise<void>
}

/** @throws Error when nobody can listen at the address of the metrics */
export async function openInstruments(config: MountConfig, log: Logger): Promise<Instruments> {
  const begun = performance.now()
  const tally = new Tally()
  const opened: { close(): Promise<void> }[] = []
  let mount: RunningMount | undefined
  const counts = (): Readonly<Record<string, number>> => mount?.counts() ?? {}
  let prometheus: PrometheusObserver | undefined
  if (config.metrics !== undefined) {
    // Only whoever asks for metrics pays for loading what prints them.
    const { PrometheusObserver } = await import('../metrics/prometheus.js')
    prometheus = new PrometheusObserver(counts)
    const ready = async (signal: AbortSignal): Promise<void> => {
      if (mount === undefined) throw new Error('not mounted yet')
      await mount.checkStore(signal)
    }
    const alive = async (): Promise<void> => {
      if (mount === undefined) throw new Error('not mounted yet')
      const { mountpoint } = mount
      if (!(await isMounted(mountpoint))) throw new Error(`${mountpoint} is not mounted any more`)
    }
    const { metrics: address } = config
    const endpoint = await openEndpoint({ address, metrics: prometheus, alive, ready })
    log.info({ address: endpoint.url }, 'metrics are served')
    opened.push(endpoint)
  }
  return {
    observer: prometheus === undefined ? tally : several(tally, prometheus),
    attach: async running => {
      mount = running
      const { source, mountpoint } = running
      const stats = () => ({
        source,
        mountpoint,
        pid: process.pid,
        uptime: performance.now() - begun,
        tally: tally.snapshot(),
        counts: counts(),
        memory: process.memoryUsage.rss(),
      })
      const handlers = {
        stats,
        sync: (signal: AbortSignal) => running.sync(signal),
        invalidate: (path: string) => running.invalidate(path),
      }
      try {
        opened.push(await openControl(mountpoint, handlers))
      } catch (error) {
        log.warn(
          { mountpoint, err: error },
          'no control socket: stats, sync and invalidate will not work',
        )
      }
    },
    close: async () => {
      for (const each of opened) await each.close()
    },
  }
}
