/** A model over the Open Inference Protocol is asked for the tensors that the student needs, and no others. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { NeededOutput } from '../../src/contract/outputs.js';
import { assertOipAnswer, oipStudent } from '../support/oip/oipStudent.js';
import { type ModelShape, scriptedModel } from '../support/oip/scriptedModel.js';
import { ScriptedOipServer } from '../support/oip/scriptedOipServer.js';
import { imageOf } from '../support/students/scriptedStudent.js';

/** 3 x 3 positions, 3 classes, 4 channels, fp32. */
const [LOGITS, FEATURE, NORM] = [4 * 27, 4 * 36, 4 * 9];

async function asked(t: TestContext, outputs: readonly NeededOutput[], shape: ModelShape = {}) {
  const names: string[][] = [];
  const server = await ScriptedOipServer.start(scriptedModel(shape), {
    onImage: async ({ request, answer }) => {
      names.push(request.outputs.map(({ name }) => name));
      return answer();
    },
  });
  t.after(() => server.stop());
  const { teacher, observed } = await oipStudent(t, [server], {}, { outputs });
  observed.receivedBytes = 0;
  const image = imageOf(1);
  const reply = await teacher.request(image);
  return { names, reply, image, teacher, bytes: observed.receivedBytes };
}

test('logits alone: the feature is neither asked for nor counted', async (t) => {
  const { names, reply, image, teacher, bytes } = await asked(t, ['logits']);
  assert.deepEqual(names, [['logits']]);
  assertOipAnswer(reply, image, { hasFeature: false });
  assert.deepEqual([bytes, teacher.inflightBytesFor(image)], [LOGITS, LOGITS]);
});

for (const [output, field, inflight] of [
  // The feature travels as a whole, and the norms that are made of it count, too.
  ['feature_norm', 'featureNorm', FEATURE + NORM],
  ['embedding', 'embedding', FEATURE],
] as const) {
  test(`${output} alone is made of the raw feature, whose bytes count`, async (t) => {
    const { names, reply, image, teacher, bytes } = await asked(t, [output]);
    assert.deepEqual(names, [['feature']]);
    assert.deepEqual([bytes, teacher.inflightBytesFor(image)], [FEATURE, inflight]);
    const whole = await asked(t, ['logits', 'embedding', 'feature_norm']);
    assertOipAnswer(whole.reply, image);
    assert.deepEqual(reply[field], whole.reply[field]);
    const given = Object.entries(reply).filter(([, tensor]) => tensor !== null);
    assert.deepEqual(
      given.map(([name]) => name),
      [field],
    );
  });
}

test('all: logits and feature', async (t) => {
  const { names, bytes } = await asked(t, ['logits', 'embedding', 'feature_norm']);
  assert.deepEqual(names, [['logits', 'feature']]);
  assert.equal(bytes, LOGITS + FEATURE);
});

test('auxiliary logits: such a model counts as one without', async (t) => {
  const { names, reply, teacher } = await asked(t, ['logits', 'feature_norm', 'aux_norm']);
  assert.equal(teacher.info.hasAuxLogits, false);
  assert.deepEqual(names, [['logits', 'feature']]);
  assert.equal(reply.auxNorm, null);
});
