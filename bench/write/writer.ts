/**
 * One of the writers of bench/write: a program that writes small files one after another, as programs
 * do, with calls that wait. Its orders come line by line on stdin, as JSON; `done` answers each.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Order } from './scene.js'

createInterface({ input: process.stdin }).on('line', line => {
  const { folder, first, step, count, size, sync } = JSON.parse(line) as Order
  const data = Buffer.alloc(size, first)
  for (let i = first; i < count; i += step) {
    const fd = openSync(`${folder}/${i}`, 'w')
    writeSync(fd, data)
    if (sync) fsyncSync(fd)
    closeSync(fd)
  }
  process.stdout.write('done\n')
})
