/** TF_CONFIG, the section `distributed`, and what the ranks compare at the start. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Greeting,
  RankMismatchError,
  requireAlike,
} from '../../services/student/group/greeting.js';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import { parseTfConfig } from '../../src/config/tfConfig.js';

test('TF_CONFIG: workers, and a chief or master before them', () => {
  const parse = (cluster: object, type: string, index: number) =>
    parseTfConfig(JSON.stringify({ cluster, task: { type, index }, environment: 'cloud' }));
  const worker = ['w0:2222', 'w1:2222'];
  assert.deepEqual(parse({ worker }, 'worker', 1), { workers: worker, index: 1 });
  const whole = ['c0:2222', ...worker];
  for (const first of ['chief', 'master']) {
    const cluster = { worker, [first]: ['c0:2222'] };
    assert.deepEqual(parse(cluster, 'worker', 1), { workers: whole, index: 2 });
    assert.deepEqual(parse(cluster, first, 0), { workers: whole, index: 0 });
  }
  assert.deepEqual(parse({ chief: ['c:1'] }, 'chief', 0), { workers: ['c:1'], index: 0 });
});

const worker = ['a:1', 'b:1'];
for (const [text, message] of [
  ['{', /TF_CONFIG: 1 fault\n {2}got no JSON: /],
  ['{}', /cluster: /],
  [{ cluster: { worker: 'a:1' }, task: { type: 'worker', index: 0 } }, /cluster\.worker: /],
  [{ cluster: { worker: [] }, task: { type: 'worker', index: 0 } }, /cluster\.worker: /],
  [{ cluster: { worker } }, /task: /],
  [{ cluster: { worker }, task: { type: 'worker', index: -1 } }, /task\.index: /],
  [
    { cluster: { worker }, task: { type: 'worker', index: 2 } },
    /task\.index: got 2, wanted 0 to 1/,
  ],
  [{ cluster: { worker }, task: { type: 'chief', index: 0 } }, /task\.type: got chief/],
  [{ cluster: { worker, ps: ['p:1'] }, task: { type: 'ps', index: 0 } }, /cluster\.ps: got a job/],
  [
    { cluster: { worker, chief: worker }, task: { type: 'chief', index: 0 } },
    /cluster\.chief: got 2 addresses/,
  ],
  [{ sparseCluster: { worker: {} }, task: { type: 'worker', index: 0 } }, /sparseCluster: /],
] as const) {
  const given = typeof text === 'string' ? text : JSON.stringify(text);
  test(`TF_CONFIG: ${given} is refused by the name of its field`, () => {
    assert.throws(() => parseTfConfig(given), { name: 'ConfigError', message });
  });
}

const CONFIG = `
data: {train: {kind: synthetic, samples: 4, seed: 1}, val: {kind: synthetic, samples: 1, seed: 2}}
train: {steps: 5, batchSize: 8}
`;

function config(...overrides: string[]): StudentConfig {
  return loadConfig(studentSchema, { text: CONFIG, fileName: 'test', overrides });
}

test('distributed: faults name both keys', () => {
  const group = (ranks: number, index = 0) => [
    `distributed.workers=${JSON.stringify(Array.from({ length: ranks }, (_, r) => `h${r}:1`))}`,
    `distributed.index=${index}`,
  ];
  assert.equal(config(...group(4, 3)).distributed.index, 3);
  for (const [overrides, message] of [
    [group(3), /train\.batchSize: got 8, wanted a multiple of 3/],
    [group(2, 2), /distributed\.index: got 2, wanted 0 to 1/],
    [['distributed.index=0'], /distributed\.index: got 0, wanted null/],
    [['distributed.workers=[h:1]'], /distributed\.index: got null, wanted 0 to 0/],
    [['distributed.workers=[h:1, h:1]', 'distributed.index=0'], /got h:1 twice/],
    [['distributed.workers=[h]', 'distributed.index=0'], /distributed\.workers/],
    [[...group(4), 'loss.minibatchGroup=4'], /loss\.minibatchGroup: got 4, wanted a divisor of 2/],
    [[...group(8), 'distributed.norms=rank'], /train\.batchSize: got 8, wanted at least 16/],
  ] as const) {
    assert.throws(() => config(...overrides), { name: 'ConfigError', message });
  }
  // Synchronised norms have the values of all ranks.
  assert.equal(config(...group(8)).distributed.norms, 'synchronised');
});

test('what the ranks compare: keys that affect the result, version, commit and data', () => {
  const greeting = (changes: Partial<Greeting> = {}): Greeting => ({
    ...{ version: '1', commit: 'c', dataset: 'd', validation: 'v', kernels: [], run: null },
    config: config('train.threads=1'),
    ...changes,
  });
  const addresses = ['h0:1', 'h1:1'];
  const other = config('train.threads=2', 'metrics.port=0', 'run.id=x', 'log.level=debug');
  requireAlike([greeting(), greeting({ config: other })], addresses);
  for (const [changes, message] of [
    [{ config: config('seed=9') }, /rank 1 \(h1:1\): seed: got 9, rank 0 has 0/],
    [{ config: config('distributed.norms=rank') }, /distributed\.norms: got "rank"/],
    [{ version: '2' }, /version: got "2", rank 0 has "1"/],
    [{ commit: 'e' }, /commit: got "e"/],
    [{ dataset: 'e' }, /data\.train: list hash: got "e"/],
    [
      { kernels: ['CIRKD_WINOGRAD=off'] },
      /environment: got \["CIRKD_WINOGRAD=off"\], rank 0 has \[\]/,
    ],
    [{ validation: 'e' }, /data\.val: list hash: got "e", rank 0 has "v"/],
  ] as const) {
    assert.throws(
      () => requireAlike([greeting(), greeting(changes)], addresses),
      (error: Error) => error instanceof RankMismatchError && message.test(error.message),
    );
  }
});
