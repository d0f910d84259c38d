/** The made-up teacher: answers that belong to their image and to their seed. */
// @own-process: sets a flag of V8 and measures the process' memory
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SimulatedNetwork } from '../../services/teacher/simulateEngine.js';
import type { WorkerImage } from '../../services/teacher/workerProtocol.js';
import type { OutputRequest } from '../../src/contract/outputs.js';

const CHANNELS = 12;
const CLASSES = 5;
const OUTPUTS: readonly OutputRequest[] = [
  { output: 'logits', encoding: 'fp32' },
  { output: 'embedding', encoding: 'fp32' },
  { output: 'feature_norm', encoding: 'fp32' },
];

function network(seed = 0): SimulatedNetwork {
  const sizes = { classes: CLASSES, featureChannels: CHANNELS, outputStride: 8 };
  return new SimulatedNetwork({ ...sizes, seed, latencyMs: 0, imageMs: 0 });
}

/** 20 x 12 pixels, so 3 x 2 positions; the pixel in the middle is `value`. */
function image(value: number): WorkerImage {
  const rgb = new Uint8Array(20 * 12 * 3).fill(64);
  rgb[rgb.length / 2] = value;
  return { height: 20, width: 12, rgb };
}

function values(
  of: SimulatedNetwork,
  value: number,
  outputs: readonly OutputRequest[] = OUTPUTS,
): Float32Array[] {
  const [answer] = of.infer([image(value)], outputs);
  return answer!.map(({ tensor: { dtype, data } }) =>
    dtype === 'int8' ? Float32Array.from(new Int8Array(data)) : new Float32Array(data),
  );
}

test('an image has the same answer at any teacher with the seed and in any batch', () => {
  const once = values(network(), 1);
  assert.deepEqual(values(network(), 1), once);
  const among = network().infer([image(2), image(1)], OUTPUTS)[1]!;
  assert.deepEqual(
    among.map(({ tensor: { data } }) => new Float32Array(data)),
    once,
  );
  assert.deepEqual(
    among.map(({ tensor: { shape } }) => shape),
    [
      [3, 2, CLASSES],
      [3, 2, CHANNELS],
      [3, 2],
    ],
  );
});

test('earlier images of other sizes change no answer, and are not kept', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const answer = (of: SimulatedNetwork, height: number) =>
    of.infer([{ height, width: 8, rgb: new Uint8Array(height * 8 * 3) }], OUTPUTS)[0]!;
  const seen = network();
  for (const height of [8, 400, 16, 1600]) {
    assert.deepEqual(answer(seen, height), answer(network(), height));
  }
  // What the first one finds is given back at the second.
  for (let times = 0; times < 2; times++) collect();
  const before = process.memoryUsage().arrayBuffers;
  // Room for each of 200 sizes would be 14 MiB.
  for (let height = 8; height <= 1600; height += 8) answer(seen, height);
  for (let times = 0; times < 2; times++) collect();
  const grownMib = (process.memoryUsage().arrayBuffers - before) / 2 ** 20;
  assert.ok(grownMib < 4, `${grownMib} MiB`);
});

test('one changed pixel changes the answer; the norm encodes the first byte', () => {
  const [logits, embedding, norm] = values(network(), 1);
  const [otherLogits, otherEmbedding, otherNorm] = values(network(), 2);
  assert.notDeepEqual(otherLogits, logits);
  assert.notDeepEqual(otherEmbedding, embedding);
  assert.deepEqual([...norm!], new Array(6).fill(1.25));
  assert.deepEqual(otherNorm, norm);
});

test('another seed gives another digest, other answers and another last layer', () => {
  const [one, other] = [network(0), network(1)];
  assert.notEqual(other.info.digest, one.info.digest);
  assert.equal(network(1).info.digest, other.info.digest);
  const [logits, embedding] = values(one, 1);
  const [otherLogits, otherEmbedding] = values(other, 1);
  assert.notDeepEqual(otherLogits, logits);
  assert.notDeepEqual(otherEmbedding, embedding);
  assert.notDeepEqual(other.classifier(), one.classifier());
});

test('rows have length 1, and int8 with its scales restores them', () => {
  const [embedding] = values(network(3), 7, [{ output: 'embedding', encoding: 'fp32' }]);
  const [steps, scales] = values(network(3), 7, [
    { output: 'embedding', encoding: 'int8' },
    { output: 'embedding_scale', encoding: 'fp32' },
  ]);
  for (let position = 0; position < 6; position++) {
    const row = embedding!.subarray(position * CHANNELS, (position + 1) * CHANNELS);
    assert.ok(Math.abs(Math.hypot(...row) - 1) < 1e-6, `length ${Math.hypot(...row)}`);
    const scale = scales![position]!;
    for (const [channel, value] of row.entries()) {
      const step = steps![position * CHANNELS + channel]!;
      // Half a step is what rounding may cost.
      assert.ok(Math.abs(step * scale - value) <= scale * 0.5001, `${step} x ${scale}, ${value}`);
    }
  }
});
