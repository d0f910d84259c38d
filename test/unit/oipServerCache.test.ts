/** Inference requests at a teacher with a cache of answers. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { AnswerCache } from '../../src/answers/answerCache.js';
import type { ModelInferResponse } from '../../src/oip/generated/inference/ModelInferResponse.js';
import type { ModelStatisticsResponse } from '../../src/oip/generated/inference/ModelStatisticsResponse.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { eventually } from '../support/eventually.js';
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

test('a stream whose known answers take all memory for answers: the image before them is computed', async () => {
  const engine = new GatedEngine(false);
  const { hooks } = new CountedAnswers();
  const answerCache = new AnswerCache({ memoryBytes: 1e6, store: null, hooks });
  const answerBytes = 12 * 3 * 2;
  const { port, waiting } = await startOipServer(engine, {
    limits: { maxAnswerBytes: 4 * answerBytes, requestTimeoutMs: 5000 },
    server: { answerCache },
  });
  const request = (shade: number) => inferRequest({ shades: [shade], outputs: ['logits'] });
  const known = new OipPeer(port).infer(request(2));
  await eventually(() => engine.batches.length === 1);
  engine.releaseOne();
  await known;
  const busy = new OipPeer(port).infer(request(99));
  await eventually(() => engine.batches.length === 2);
  const peer = new OipPeer(port);
  const stream = peer.stream();
  stream.send(request(50));
  // A request that is refused makes the next one the first.
  stream.send(inferRequest({ id: 'none', shades: [5], outputs: ['unknown'] }));
  stream.send(request(60));
  await eventually(() => waiting() === 2);
  for (let i = 0; i < 10; i++) stream.send(request(2));
  await setTimeout(200);
  engine.open();
  const answers = await stream.take(13);
  const failed = answers.filter(({ errorMessage }) => errorMessage !== '');
  assert.deepEqual(
    failed.map(({ errorMessage }) => /unknown/.test(errorMessage)),
    [true],
  );
  assert.deepEqual(engine.batches.flat(), [2, 99, 50, 60]);
  await busy;
});

test('the time that an image waits beside a known one counts as waiting, not as computing', async () => {
  const engine = new GatedEngine(false);
  const { hooks } = new CountedAnswers();
  const answerCache = new AnswerCache({ memoryBytes: 1e6, store: null, hooks });
  const { port } = await startOipServer(engine, { server: { answerCache } });
  const peer = new OipPeer(port);
  const request = (...shades: number[]) => inferRequest({ shades, outputs: ['logits'] });
  const first = peer.infer(request(1));
  await eventually(() => engine.batches.length === 1);
  engine.releaseOne();
  await first;
  const busy = peer.infer(request(9));
  await eventually(() => engine.batches.length === 2);
  const partly = new OipPeer(port).infer(request(1, 2));
  await setTimeout(400);
  engine.open();
  await Promise.all([busy, partly]);
  const told = await peer.call<ModelStatisticsResponse>('ModelStatistics', { name: 'cirkd' });
  assert.ok(!(told instanceof Error), String(told));
  const { queue } = told.modelStats[0]!.inferenceStats!;
  assert.ok(Number(queue!.ns) > 350e6, `${queue!.ns} ns in the queue`);
});
