/** A docker-registry that keeps its data below a folder, and skopeo as its client. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Owner } from './owner.js'
import { Background, run, runOk, type Finished } from './processes.js'
import type { Image } from './oci-image.js'

export interface RegistryOptions {
  /** The rootdirectory of its filesystem driver. */
  root: string
  /** A folder for its configuration, not below `root`. */
  folder: string
  /** Its cache of blob descriptors; with `none`, every request asks the file system. */
  cache?: 'inmemory' | 'none'
}

export class Registry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly #process: Background

  private constructor(process: Background, host: string) {
    this.#process = process
    this.host = host
  }

  /** Starts one at a free port of the loopback and waits until it answers. */
  static async start(t: Owner, options: RegistryOptions): Promise<Registry> {
    const process = new Background(t, 'docker-registry', ['serve', writeConfig(options)])
    const [, host = ''] = await process.waitFor(/listening on (127\.0\.0\.1:\d+)/)
    const registry = new Registry(process, host)
    const answer = await registry.fetch('/v2/')
    if (answer.status !== 200) throw new Error(`registry answers ${answer.status}`)
    return registry
  }

  /** Lets it finish what is under way. */
  async stop(): Promise<void> {
    await this.#process.stop()
  }

  /** One request; the path starts at `/v2/`, or is a whole URL as the registry gives them. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const url = path.startsWith('http') ? path : `http://${this.host}${path}`
    return await fetch(url, { signal: AbortSignal.timeout(60_000), ...init })
  }

  /** Pushes an image. @throws Error with skopeo's words */
  async push(image: Image, name: string): Promise<void> {
    await runOk('skopeo', [
      '--insecure-policy',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `oci:${image.folder}:${image.tag}`,
      `docker://${this.host}/${name}`,
    ])
  }

  /** Pulls an image into a new OCI layout; how it ended is in the answer. */
  async pull(name: string, folder: string): Promise<Finished> {
    return await run('skopeo', [
      '--insecure-policy',
      'copy',
      '--quiet',
      '--src-tls-verify=false',
      `docker://${this.host}/${name}`,
      `oci:${folder}:latest`,
    ])
  }
}

/** Removes blobs that no manifest refers to. The registry should not be taking pushes meanwhile. */
export async function collectGarbage(options: RegistryOptions): Promise<void> {
  await runOk('docker-registry', ['garbage-collect', writeConfig(options)])
}

/** Health checks and upload purging are off: they would touch the file system at times of their own. */
function writeConfig({ root, folder, cache = 'inmemory' }: RegistryOptions): string {
  const path = join(folder, 'registry.json')
  // JSON is YAML.
  const config = {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: root },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
      ...(cache === 'none' ? {} : { cache: { blobdescriptor: cache } }),
    },
    http: { addr: '127.0.0.1:0', draintimeout: '5s' },
    health: { storagedriver: { enabled: false } },
  }
  writeFileSync(path, JSON.stringify(config))
  return path
}
