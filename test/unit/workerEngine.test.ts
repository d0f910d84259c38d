/** An inference thread that stops answering. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maxBatchMs } from '../../services/teacher/options.js';
import { WorkerEngine } from '../../services/teacher/workerEngine.js';
import type { WorkerSetup } from '../../services/teacher/workerProtocol.js';
import type { TeacherConfig } from '../../src/config/teacher.js';

const setup = (latencyMs: number): WorkerSetup => ({
  source: {
    ...{ kind: 'simulate', classes: 3, featureChannels: 4, outputStride: 8 },
    ...{ seed: 0, latencyMs, imageMs: 0 },
  },
  processors: null,
  faults: { nonFiniteEvery: 0, failEvery: 0, stallEvery: 0, stallMs: 0 },
  warmUp: [],
  warmUpOutputs: [],
});
const images = [{ height: 8, width: 8, rgb: new Uint8Array(192) }];
const outputs = [{ output: 'logits', encoding: 'fp32' }] as const;

test('a batch that hangs makes the engine fail, and its thread can still be ended', async () => {
  const engine = await WorkerEngine.start(setup(3_600_000), 100);
  const message = 'a batch has been in the inference thread for 0.1 s: it hangs';
  await assert.rejects(engine.infer(images, outputs), { message });
  assert.equal((await engine.died).message, message);
  await assert.rejects(engine.infer(images, outputs), { message });
  await engine.close();
});

test('any number of batches in time leave the engine alive', async () => {
  const engine = await WorkerEngine.start(setup(0), 60_000);
  let isDead = false;
  void engine.died.then(() => {
    isDead = true;
  });
  for (let i = 0; i < 5; i++) assert.equal((await engine.infer(images, outputs)).length, 1);
  await engine.close();
  assert.equal(isDead, false);
});

test('an error of the network rejects its batch, and the next one is computed', async () => {
  const engine = await WorkerEngine.start(setup(0), 60_000);
  const huge = [{ height: 2 ** 31, width: 2 ** 31, rgb: new Uint8Array(3) }];
  await assert.rejects(engine.infer(huge, outputs), /RangeError/);
  assert.equal((await engine.infer(images, outputs)).length, 1);
  await engine.close();
});

test('the limit is twice the request time-out, and at least a minute', () => {
  const bound = (requestTimeoutMs: number) => maxBatchMs({ requestTimeoutMs } as TeacherConfig);
  assert.deepEqual([1000, 30_000, 60_000].map(bound), [60_000, 60_000, 120_000]);
});
