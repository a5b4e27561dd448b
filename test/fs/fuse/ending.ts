import t from 'tap'
import { isEnding, isEndingBy } from '../../../src/fs/fuse/ending.js'

/** Masks as the kernel prints them: bit 0 is signal 1. */
function status(
  masks: Partial<Record<'SigPnd' | 'ShdPnd' | 'SigBlk' | 'SigIgn', number[]>>,
): string {
  const line = (name: keyof typeof masks): string => {
    const bits = (masks[name] ?? []).reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n)
    return `${name}:\t${bits.toString(16).padStart(16, '0')}\n`
  }
  const names = ['SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn'] as const
  return `Name:\tprogram\n${names.map(line).join('')}SigCgt:\t0000000000000000\n`
}

const [INT, KILL, ALRM, TERM, CHLD, STOP] = [2, 9, 14, 15, 17, 19]

void t.test('what ends a program is told from what it lives with', async t => {
  t.notOk(isEndingBy(status({})))
  for (const signal of [INT, KILL, TERM]) {
    t.ok(isEndingBy(status({ SigPnd: [signal] })), `signal ${signal} to the thread`)
    t.ok(isEndingBy(status({ ShdPnd: [CHLD, signal] })), `signal ${signal} to the process`)
  }
  for (const signal of [ALRM, CHLD, STOP]) {
    t.notOk(isEndingBy(status({ SigPnd: [signal], ShdPnd: [signal] })), `signal ${signal}`)
  }
  t.notOk(isEndingBy(status({ ShdPnd: [INT, TERM], SigBlk: [INT], SigIgn: [TERM] })))
})

void t.test('what cannot be seen counts as ending', async t => {
  t.ok(isEnding(0))
  t.ok(isEndingBy('Name:\tprogram\n'))
  t.notOk(isEnding(process.pid))
})
