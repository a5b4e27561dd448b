import t from 'tap'
import { readFaultRules } from '../../src/server/fault-rules.js'

void t.test('an empty file has no rules', t => {
  for (const content of [undefined, null, [], {}, { rules: [] }, { rules: null }]) {
    t.strictSame(readFaultRules(content), [])
  }
  t.end()
})

void t.test('every kind of fault can be written down', t => {
  const kinds = [
    [{ fault: 'delay', delay: '200ms' }, { delay: 200 }],
    [{ fault: 'delay', delay: 2 }, { delay: 2000 }],
    [
      { fault: 'error', status: 503, code: 'ServiceUnavailable', message: 'm', retryAfter: 3 },
      { status: 503, code: 'ServiceUnavailable', message: 'm', retryAfter: '3' },
    ],
    [{ fault: 'hang' }, {}],
    [{ fault: 'hang-response' }, {}],
    [{ fault: 'hang-download', after: 10 }, { after: 10 }],
    [{ fault: 'html', status: 504 }, { status: 504 }],
    [{ fault: 'html' }, {}],
    [{ fault: 'reset' }, {}],
    [{ fault: 'reset-upload', after: '64k' }, { after: 65_536 }],
    [{ fault: 'reset-download', after: 0 }, { after: 0 }],
    [{ fault: 'reset-after' }, {}],
    [{ fault: 'truncate', after: '1MiB' }, { after: 1_048_576 }],
    [{ fault: 'wrong-length', by: -5 }, { by: -5 }],
    [{ fault: 'corrupt', at: 7 }, { at: 7 }],
    [{ fault: 'corrupt-upload' }, {}],
    [{ fault: 'drop-response' }, {}],
    [{ fault: 'error-in-ok', code: 'InternalError' }, { code: 'InternalError' }],
    [{ fault: 'skew-date', skew: '-20m' }, { skew: -1_200_000 }],
    [{ fault: 'skew-date', skew: -1.5 }, { skew: -1500 }],
  ] as const
  for (const [rule, fields] of kinds) {
    t.strictSame(readFaultRules([rule]), [{ fault: { kind: rule.fault, ...fields } }])
  }
  t.end()
})

void t.test('a rule says what it acts on', t => {
  const [rule] = readFaultRules({
    rules: [
      {
        fault: 'reset',
        operation: ['GetObject', 'HeadObject'],
        bucket: 'b',
        key: 'a/*.tar (1)',
        skip: 1,
        count: 2,
        probability: 0.5,
        seed: -3,
      },
    ],
  })
  t.match(rule, {
    operation: ['GetObject', 'HeadObject'],
    bucket: 'b',
    skip: 1,
    count: 2,
    probability: 0.5,
    seed: -3,
  })
  const key = rule?.key
  t.ok(key instanceof RegExp && key.test('a/b/c.tar (1)'))
  t.notOk(key instanceof RegExp && key.test('a/b/cXtar (1)'))
  t.notOk(key instanceof RegExp && key.test('za/b.tar (1)'))
  const keyOf = (more: object) => readFaultRules([{ fault: 'reset', ...more }])[0]?.key
  t.equal(keyOf({ key: 'plain.txt' }), 'plain.txt')
  t.strictSame(keyOf({ keyPattern: '^a+$' }), /^a+$/)
  t.strictSame(readFaultRules([{ fault: 'reset', operation: 'PutObject', nth: 3 }]), [
    { fault: { kind: 'reset' }, operation: ['PutObject'], skip: 2, count: 1 },
  ])
  t.end()
})

void t.test('a mistake is named by rule and field', t => {
  const good = { fault: 'reset' }
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ['text', /^the rules are not a list$/],
    [{ rule: [] }, /^'rule' is unknown beside 'rules'$/],
    [[good, 5], /^rule 2 is not a mapping$/],
    [[{}], /^rule 1: fault: must be one of delay, error, hang/],
    [[{ fault: 'toString' }], /^rule 1: fault: must be one of/],
    [[good, { fault: 'delay' }], /^rule 2: delay: is missing: a duration/],
    [[{ fault: 'delay', delay: 'soon' }], /^rule 1: delay: "soon" is not a duration/],
    [[{ fault: 'delay', delay: -1 }], /^rule 1: delay: -1 is not/],
    [[{ fault: 'error', status: 99, code: 'X' }], /^rule 1: status: 99 is not an HTTP status/],
    [[{ fault: 'error', status: 500 }], /^rule 1: code: is missing/],
    [[{ fault: 'reset', after: 5 }], /^rule 1: after: the fault reset has no such field$/],
    [[{ fault: 'truncate', after: 'x' }], /^rule 1: after: "x" is not a size/],
    [[{ ...good, operation: 'Put' }], /^rule 1: operation: "Put" is not one or a list of List/],
    [[{ ...good, operation: [] }], /^rule 1: operation:/],
    [[{ ...good, keyPattern: '(' }], /^rule 1: keyPattern: "\(" is not a regular expression$/],
    [[{ ...good, nth: 0 }], /^rule 1: nth: 0 is not a whole number from 1 on$/],
    [[{ ...good, nth: 1, skip: 1 }], /^rule 1: nth: does not go together with skip$/],
    [[{ ...good, key: 'a', keyPattern: 'a' }], /^rule 1: key: does not go together/],
    [[{ ...good, probability: 2 }], /^rule 1: probability: 2 is not a number between/],
    [[{ ...good, seed: 1.5 }], /^rule 1: seed: 1.5 is not a whole number$/],
  ]
  for (const [content, message] of cases) {
    t.throws(() => readFaultRules(content), { name: 'FaultRuleError', message })
  }
  t.end()
})
