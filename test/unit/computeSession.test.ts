/** What the student's computing thread makes of the teacher that it is told of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ComputeSession } from '../../services/student/computeSession.js';
import { loadConfig } from '../../src/config/load.js';
import { studentSchema } from '../../src/config/student.js';
import type { EncodedTensor } from '../../src/contract/encodedTensor.js';
import { teacherLabels } from '../../src/distill/teacherLabels.js';
import { float32, scope } from '../../src/tensor/index.js';
import type { MicroBatch } from '../../src/train/outcome.js';

const CLASSES = ['a', 'b', 'c'];
const CHANNELS = 2;
const [N, H, W, h, w] = [2, 32, 40, 4, 5];

function configFor(labels: 'file' | 'teacher') {
  const text = `
seed: 5
data:
  train: {kind: synthetic, samples: 1, seed: 1, labels: ${labels}}
  val: {kind: synthetic, samples: 1, seed: 2}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {addresses: ['127.0.0.1:1']}
train: {steps: 20, batchSize: 2, learningRate: 0.05}
loss: {weights: {logits_kd: 0, minibatch_pixel: 0, memory_pixel: 0, memory_region: 0}}
`;
  return loadConfig(studentSchema, { text, fileName: 'test', overrides: [] });
}

const encoded = (shape: readonly number[], at: (i: number) => number): EncodedTensor => {
  const size = shape.reduce((product, length) => product * length, 1);
  return {
    dtype: 'fp32',
    shape,
    data: Float32Array.from({ length: size }, (_, i) => at(i)).buffer,
  };
};
const logitAt = (i: number) => 3 * Math.sin(1.7 * i + 0.3);

function batch(labels: readonly Uint8Array[]): MicroBatch {
  const reply = {
    logits: encoded([h, w, CLASSES.length], logitAt),
    embedding: encoded([h, w, CHANNELS], (i) => (i % CHANNELS === 0 ? 1 : 0)),
    embeddingScale: null,
    featureNorm: encoded([h, w], () => 1),
    auxNorm: null,
  };
  const rgb = [1, 2].map((seed) =>
    Uint8Array.from({ length: H * W * 3 }, (_, i) => (i * seed) % 251),
  );
  return { height: H, width: W, rgb, labels, replies: [reply, reply] };
}

/** The task loss of the first step. */
function taskLoss(from: 'file' | 'teacher', alignCorners: boolean, labels: readonly Uint8Array[]) {
  const session = new ComputeSession();
  session.setup({
    config: configFor(from),
    classNames: CLASSES,
    teacher: { featureChannels: CHANNELS, alignCorners, classifier: null },
    ...{ state: null, startWeights: null },
  });
  const outcome = session.step(0, [batch(labels)], 0);
  assert.equal(outcome.kind, 'committed');
  return outcome.kind === 'committed' ? outcome.terms['task']! : Number.NaN;
}

test("labels from the teacher use the teacher's alignCorners, not the student's", () => {
  const blank = [0, 1].map(() => new Uint8Array(H * W));
  const losses = [true, false].map((alignCorners) => {
    const logits = Float32Array.from({ length: N * h * w * CLASSES.length }, (_, i) =>
      logitAt(i % (h * w * CLASSES.length)),
    );
    const crops = { data: new Uint8Array(N * H * W), images: N, height: H, width: W };
    const options = { minConfidence: 0.5, alignCorners };
    const { data } = scope(() =>
      teacherLabels(float32(logits, [N, h, w, CLASSES.length]), crops, options),
    );
    const maps = [data.slice(0, H * W), data.slice(H * W)];
    const [got, wanted] = [taskLoss('teacher', alignCorners, blank), taskLoss('file', true, maps)];
    assert.equal(got, wanted, `corners ${alignCorners}`);
    return got;
  });
  assert.notEqual(losses[0], losses[1]);
});
