/**
 * The file of `serve --faults`: YAML or JSON, read at the start and again whenever it changes. A file that
 * turns bad later leaves the rules as they were.
 */
import { readFile } from 'node:fs/promises'
import { unwatchFile, watchFile } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import { FaultRuleError, readFaultRules } from '../server/fault-rules.js'
import type { Faults, FaultRule } from '../server/faults.js'
import type { Logger } from '../util/log.js'
import type { Milliseconds } from '../util/units.js'
import { CommandError, EXIT, explain } from './errors.js'

/** How often the file is looked at: a change of any kind is seen, a file put in its place too. */
const INTERVAL: Milliseconds = 250

/** @throws CommandError naming the rule and the field that are wrong */
export async function readFaultFile(file: string): Promise<readonly FaultRule[]> {
  try {
    return readFaultRules(parse(await readFile(file, 'utf8')))
  } catch (error) {
    throw new CommandError(`--faults ${file}: ${reason(error)}`, EXIT.usage)
  }
}

function reason(error: unknown): string {
  if (error instanceof FaultRuleError) return error.message
  if (!(error instanceof YAMLParseError)) return explain(error)
  return `neither YAML nor JSON: ${error.message.split('\n', 1)[0] ?? error.code}`
}

/** @returns what ends the watching */
export function watchFaultFile(file: string, faults: Faults, log: Logger): () => void {
  const reload = async () => {
    try {
      const rules = await readFaultFile(file)
      faults.replace(rules)
      log.info({ file, rules: rules.length }, 'fault rules read')
    } catch (error) {
      log.error({ file }, `${explain(error)}; the rules stay as they were`)
    }
  }
  const changed = () => void reload()
  watchFile(file, { interval: INTERVAL, persistent: false }, changed)
  return () => unwatchFile(file, changed)
}
