/** `bosmount registry tree`: repositories, their tags and manifests, and what these are made of. */
import { reachable, readManifests } from '../../../registry/references.js'
import type { StoredManifest } from '../../../registry/references.js'
import type { Digest, RegistryStore } from '../../../registry/layout.js'
import type { Descriptor } from '../../../registry/manifest.js'
import { formatBytes } from '../../../util/units.js'
import { command } from '../../command.js'
import { EXIT, CommandError } from '../../errors.js'
import { matcher } from '../../files/glob.js'
import { Lines, printable } from '../../output.js'
import { addRegistryOptions, warnOf, withRegistry } from './shared.js'
import type { RegistryArguments } from './shared.js'

interface TreeArguments extends RegistryArguments {
  readonly repository: string | undefined
}

export const treeCommand = command<TreeArguments>({
  command: 'tree [source]',
  describe: 'Show repositories, tags, manifests and layers',
  builder: yargs =>
    addRegistryOptions(yargs).option('repository', {
      type: 'string',
      requiresArg: true,
      describe: 'only these: a name or a pattern such as team/*',
      defaultDescription: 'all',
    }),
  handler: argv =>
    withRegistry(argv, async (registry, { signal }) => {
      const lines = new Lines(signal)
      const isWanted = argv.repository === undefined ? () => true : matcher(argv.repository)
      const names: string[] = []
      for await (const name of registry.repositories()) if (isWanted(name)) names.push(name)
      for (const name of names.sort()) {
        const repository = await readRepository(registry, name)
        if (argv.json) await lines.addJson(asJson(repository))
        else for (const line of describe(repository)) await lines.add(line)
        warnOf(repository.broken)
      }
      await lines.flush()
      if (names.length === 0 && argv.repository !== undefined) {
        throw new CommandError(`no repository matches ${argv.repository}`, EXIT.failed)
      }
    }),
})

async function readRepository(registry: RegistryStore, name: string) {
  const { manifests, broken } = await readManifests(registry, name)
  return { name, manifests, broken, tags: await registry.tags(name) }
}

type Repository = Awaited<ReturnType<typeof readRepository>>

function describe({ name, manifests, tags }: Repository): string[] {
  const lines = [printable(name)]
  const names = new Map<Digest, string[]>()
  for (const [tag, digest] of tags) names.set(digest, [...(names.get(digest) ?? []), tag])
  const reached = reachable(manifests, tags.values())
  const roots = [...names].map(([digest, its]) => ({ digest, title: its.join(', ') }))
  const children = new Set(
    [...manifests.values()].flatMap(({ manifest }) => manifest.manifests.map(each => each.digest)),
  )
  for (const { digest, manifest } of manifests.values()) {
    if (names.has(digest) || children.has(digest)) continue
    const subject = manifest.subject?.digest
    const about = subject === undefined ? '' : ` about ${subject}`
    roots.push({ digest, title: (reached.has(digest) ? 'referrer' : 'untagged') + about })
  }
  for (const { digest, title } of roots) {
    lines.push(...describeManifest({ digest, title, manifests, depth: 1 }))
  }
  return lines
}

interface Branch {
  readonly digest: Digest
  readonly title: string
  readonly manifests: ReadonlyMap<Digest, StoredManifest>
  readonly depth: number
}

/** A list may name itself in no way, but whoever made it may have made anything. */
const MAX_DEPTH = 8

function describeManifest({ digest, title, manifests, depth }: Branch): string[] {
  const indent = '  '.repeat(depth)
  const found = manifests.get(digest)
  const head = `${indent}${printable(title)}  ${digest}`
  if (found === undefined) return [`${head}  (not here)`]
  const { manifest, size } = found
  const parts: readonly (readonly [string, Descriptor])[] = [
    ...(manifest.config === undefined ? [] : [['config', manifest.config] as const]),
    ...manifest.layers.map(layer => ['layer', layer] as const),
  ]
  const sum = parts.reduce((total, [, part]) => total + (part.size ?? 0), size)
  const amount = manifest.manifests.length > 0 ? '' : `  ${formatBytes(sum)}`
  return [
    `${head}  ${manifest.artifactType ?? manifest.mediaType}${amount}`,
    ...parts.map(([kind, part]) => {
      const length = part.size === undefined ? 'size not told' : formatBytes(part.size)
      return `${indent}  ${kind.padEnd(6)}  ${part.digest}  ${length}`
    }),
    ...manifest.manifests.flatMap(child =>
      depth >= MAX_DEPTH
        ? []
        : describeManifest({
            digest: child.digest,
            title: child.platform ?? 'manifest',
            manifests,
            depth: depth + 1,
          }),
    ),
  ]
}

function asJson({ name, manifests, tags, broken }: Repository): object {
  return {
    repository: name,
    tags: Object.fromEntries(tags),
    manifests: [...manifests.values()].map(({ digest, size, manifest }) => ({
      digest,
      size,
      ...manifest,
    })),
    broken,
  }
}
