import assert from 'node:assert/strict';
import { it } from 'node:test';
import { InferenceService } from '../../src/oip/codec/inferenceService.js';
import { decodeInferRequest } from '../../src/oip/server/requestDecoder.js';

const { requestSerialize, requestDeserialize } = InferenceService.service.ModelInfer;

const encoded = (id: string, name: string, pixel: number) =>
  requestSerialize({
    ...{ modelName: 'cirkd', id, outputs: [{ name }] },
    inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, 2, 2, 3] }],
    rawInputContents: [Buffer.alloc(12, pixel)],
  });

function decoded(bytes: Buffer) {
  const incoming = decodeInferRequest(bytes);
  if ('malformed' in incoming) assert.fail(incoming.malformed);
  return incoming;
}

it('requests of any order decode as protobufjs decodes them, each with its own tensors', () => {
  const ids = ['', '', '7', '7', '8', 'long '.repeat(2000), 'long '.repeat(2000), ''];
  const names = ['logits', 'logits', 'logits', 'embedding', 'embedding', 'logits', 'logits', ''];
  for (const [index, id] of ids.entries()) {
    const bytes = encoded(id, names[index]!, index);
    const { request, raw } = decoded(bytes);
    const wanted = requestDeserialize(bytes);
    assert.deepEqual(request, { ...wanted, rawInputContents: [] });
    assert.deepEqual(
      raw.map((one) => [...one]),
      [Array(12).fill(index)],
    );
  }
});

it('what was decoded does not depend on the memory of the message', () => {
  const bytes = encoded('1', 'logits', 1);
  const { request } = decoded(bytes);
  bytes.fill(0);
  assert.equal(request.id, '1');
  assert.equal(decoded(encoded('1', 'logits', 2)).request.outputs[0]?.name, 'logits');
});

it('a malformed message after a good one is not taken for it', () => {
  decoded(encoded('1', 'logits', 1));
  const cut = encoded('1', 'logits', 1).subarray(0, -1);
  assert.ok('malformed' in decodeInferRequest(cut));
});
