/** Inference requests at a teacher with a cache of answers. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { AnswerCache } from '../../src/answers/answerCache.js';
import type { ModelInferResponse } from '../../src/oip/generated/inference/ModelInferResponse.js';
import type { ModelStatisticsResponse } from '../../src/oip/generated/inference/ModelStatisticsResponse.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { inferRequest, OipPeer, rawOf } from '../support/oip/oipPeer.js';
import { startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

async function serve() {
  const engine = new GatedEngine(true);
  const { hooks } = new CountedAnswers();
  const answerCache = new AnswerCache({ memoryBytes: 1e6, store: null, hooks });
  const { port } = await startOipServer(engine, { server: { answerCache } });
  const infer = async (shades: readonly number[]) => {
    const answer = await new OipPeer(port).infer(inferRequest({ shades, outputs: ['logits'] }));
    assert.ok(!(answer instanceof Error), String(answer));
    return answer as ModelInferResponse;
  };
  return { engine, port, infer };
}

test('a request that comes again isn’t computed again, and has the same bytes', async () => {
  const { engine, infer } = await serve();
  const first = await infer([4, 9]);
  assert.deepEqual(engine.batches.flat(), [4, 9]);
  const second = await infer([4, 9]);
  assert.ok(rawOf(second, 'logits').equals(rawOf(first, 'logits')));
  const swapped = rawOf(await infer([9, 4]), 'logits');
  const half = swapped.length / 2;
  const turned = Buffer.concat([swapped.subarray(half), swapped.subarray(0, half)]);
  assert.ok(turned.equals(rawOf(first, 'logits')));
  assert.deepEqual(engine.batches.flat(), [4, 9]);
});

test('the images of one request that are alike are computed once', async () => {
  const { engine, infer } = await serve();
  const bytes = rawOf(await infer([7, 7, 7]), 'logits');
  const third = bytes.length / 3;
  assert.ok(bytes.subarray(0, third).equals(bytes.subarray(2 * third)));
  assert.deepEqual(engine.batches.flat(), [7]);
});

test('the statistics count hits and misses, and no cached image as an inference', async () => {
  const { port, infer } = await serve();
  await infer([1, 2]);
  await infer([1, 2]);
  await infer([2, 3]);
  const peer = new OipPeer(port);
  const told = await peer.call<ModelStatisticsResponse>('ModelStatistics', { name: 'cirkd' });
  assert.ok(!(told instanceof Error), String(told));
  const { inferenceCount, inferenceStats } = told.modelStats[0]!;
  assert.equal(inferenceCount, 3);
  assert.equal(inferenceStats?.success?.count, 3);
  assert.equal(inferenceStats?.cacheHit?.count, 1);
  assert.equal(inferenceStats?.cacheMiss?.count, 2);
  assert.equal(inferenceStats?.computeInfer?.count, 2);
});
