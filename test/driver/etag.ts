import { createHash } from 'node:crypto'
import t from 'tap'
import {
  composedEtag,
  contentEtag,
  isComposedEtag,
  isContentEtag,
  multipartEtag,
} from '../../src/driver/etag.js'
import { bytes } from './helpers.js'

const md5 = (text: string | Buffer): string => createHash('md5').update(text).digest('hex')

void t.test('the etag of what is put in one piece is its MD5', t => {
  const content = bytes(1000, 1)
  t.equal(contentEtag(content), md5(content))
  t.equal(contentEtag([content.subarray(0, 1), Buffer.alloc(0), content.subarray(1)]), md5(content))
  t.ok(isContentEtag(contentEtag([])))
  t.notOk(isComposedEtag(contentEtag([])))
  t.end()
})

void t.test('the etag of one part is its own, of several the MD5 of their etags', t => {
  t.equal(multipartEtag(['abc']), 'abc')
  const joined = `-${md5('abcdef')}`
  t.equal(multipartEtag(['abc', 'def']), joined)
  const part = (partNumber: number, etag: string) => ({ partNumber, etag, size: 1 })
  t.equal(composedEtag([part(7, 'def'), part(2, 'abc')]), joined)
  t.ok(isComposedEtag(joined))
  t.notOk(isContentEtag(joined))
  t.end()
})
