import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartedMessage } from '../../src/rpc/calls/partedMessage.js';
import { InferenceService } from '../../src/oip/codec/inferenceService.js';
import type { AnswerTensor } from '../../src/oip/server/derivedOutputs.js';
import type { ModelTensor } from '../../src/oip/server/modelTensors.js';
import { encodeAnswer, encodeStreamAnswer } from '../../src/oip/server/responseEncoder.js';

const logits: ModelTensor = { name: 'logits', values: 'logits', datatype: 'FP32', channels: 19 };
const norms: ModelTensor = {
  name: 'feature_norm',
  values: 'feature_norm',
  datatype: 'FP32',
  channels: null,
};
const half: ModelTensor = { ...logits, name: 'logits_fp16', datatype: 'FP16' };

const bytes = (length: number, first: number) =>
  Uint8Array.from({ length }, (_, index) => (first + index) & 0xff);

const answers: Record<string, readonly AnswerTensor[]> = {
  'one tensor': [{ tensor: logits, shape: [1, 2, 3, 19], parts: [bytes(456, 1)] }],
  'several images': [
    { tensor: logits, shape: [2, 1, 1, 19], parts: [bytes(76, 1), bytes(76, 7)] },
    { tensor: norms, shape: [2, 1, 1], parts: [bytes(4, 3), bytes(4, 9)] },
    { tensor: half, shape: [2, 1, 1, 19], parts: [bytes(38, 5), bytes(38, 6)] },
  ],
  'extents of many bytes': [
    { tensor: norms, shape: [1, 300, 70_000], parts: [bytes(100_000, 2), bytes(17, 0)] },
  ],
  'no tensor': [],
};

for (const [what, tensors] of Object.entries(answers)) {
  for (const [modelName, id] of [
    ['cirkd', ''],
    ['mödel', 'request 7 ☂'],
    ['x'.repeat(300), '7'.repeat(5000)],
  ] as const) {
    test(`${what}, model ${modelName.slice(0, 9)}: the bytes of protobufjs`, () => {
      const { ModelInfer, ModelStreamInfer } = InferenceService.service;
      const inferResponse = {
        ...{ modelName, modelVersion: '1' },
        // protobufjs writes an empty one, too, which says the same.
        ...(id === '' ? {} : { id }),
        outputs: tensors.map(({ tensor: { name, datatype }, shape }) => ({
          ...{ name, datatype },
          shape: [...shape],
        })),
        rawOutputContents: tensors.map(({ parts }) => Buffer.concat(parts)),
      };
      const answer = { modelName, id, tensors };
      const whole = ModelInfer.responseSerialize(inferResponse);
      assert.deepEqual(joined(encodeAnswer(answer)), whole);
      const parameters = { triton_final_response: { boolParam: true } };
      const streamed = ModelStreamInfer.responseSerialize({
        inferResponse: { ...inferResponse, parameters },
      });
      assert.deepEqual(joined(encodeStreamAnswer(answer)), streamed);
    });
  }
}

test('the tensors of a message are the views that were given, not copies', () => {
  const [tensor] = answers['one tensor']!;
  const message = encodeAnswer({ modelName: 'cirkd', id: '', tensors: [tensor!] });
  assert.ok((message as unknown as PartedMessage).parts.includes(tensor!.parts[0]!), 'copied');
});

function joined(message: unknown): Buffer {
  assert.ok(message instanceof PartedMessage, `${message} is no message of parts`);
  return message.joined();
}
