/** Reads a YAML configuration file. */
import { readFile, stat } from 'node:fs/promises'
import { parse, YAMLParseError } from 'yaml'
import { CommandError, EXIT, explain } from './errors.js'

/** Permission bits that let others than the owner read a file. */
const OTHERS_READ = 0o044

/** @throws CommandError if it cannot be read or is not YAML */
export async function readConfigFile(name: string): Promise<{ name: string; content: unknown }> {
  try {
    const text = await readFile(name, 'utf8')
    const { mode } = await stat(name)
    if ((mode & OTHERS_READ) !== 0 && /secret/i.test(text)) {
      process.stderr.write(`warning: ${name} holds a secret and others can read it: chmod 600\n`)
    }
    const content: unknown = parse(text, {
      // As a number, 0o640 would be 416: a mode is to be read as it is written.
      customTags: tags => tags.filter(tag => typeof tag === 'string' || tag.format !== 'OCT'),
    })
    return { name, content }
  } catch (error) {
    // A YAML error quotes the lines around the mistake, which may hold a secret.
    const reason =
      error instanceof YAMLParseError
        ? `not YAML: ${error.code} in line ${error.linePos?.[0].line ?? '?'}`
        : explain(error)
    throw new CommandError(`cannot read the configuration file ${name}: ${reason}`, EXIT.usage)
  }
}
