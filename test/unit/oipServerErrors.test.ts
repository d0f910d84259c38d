/** What a client of the Open Inference Protocol is told of a request that can't be answered. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { ServiceError } from '@grpc/grpc-js';
import { NonFiniteOutputError, RefusedImageError } from '../../src/contract/inference.js';
import type { ModelInferRequestInput } from '../../src/oip/generated/inference/ModelInferRequest.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

type Input = NonNullable<ModelInferRequestInput['inputs']>[number];
const right = inferRequest({ id: '7', size: [8, 8] });
const withInput = (changes: Input, raw: number[] = [192]): ModelInferRequestInput => ({
  ...right,
  inputs: [{ ...right.inputs[0]!, ...changes }],
  rawInputContents: raw.map((bytes) => Buffer.alloc(bytes)),
});
const withParameter = (
  name: string,
  value: NonNullable<ModelInferRequestInput['parameters']>[string],
): ModelInferRequestInput => ({ ...right, parameters: { [name]: value } });
const typed = (contents: Input['contents'] & object): ModelInferRequestInput =>
  withInput({ contents }, []);

/** Request → message; each is INVALID_ARGUMENT. */
const REFUSED: Readonly<Record<string, readonly [ModelInferRequestInput, string]>> = {
  'an unknown input': [
    withInput({ name: 'pixels' }),
    "unexpected inference input 'pixels' for model 'cirkd'",
  ],
  'no input': [
    { ...right, inputs: [], rawInputContents: [] },
    "[request id: 7] expected 1 inputs but got 0 inputs for model 'cirkd'. Got input(s) [], but missing required input(s) ['image']. Please provide all required input(s).",
  ],
  'an input twice': [
    {
      ...right,
      inputs: [right.inputs[0]!, right.inputs[0]!],
      rawInputContents: [Buffer.alloc(192), Buffer.alloc(192)],
    },
    "[request id: 7] input 'image' already exists in request",
  ],
  'another data type': [
    withInput({ datatype: 'FP32' }),
    "[request id: 7] inference input 'image' data-type is 'FP32', but model 'cirkd' expects 'UINT8'",
  ],
  'channels first': [
    withInput({ shape: [1, 3, 8, 8] }),
    "[request id: 7] unexpected shape for input 'image' for model 'cirkd'. Expected [-1,-1,-1,3], got [1,3,8,8].",
  ],
  'no batch dimension': [
    withInput({ shape: [8, 8, 3] }),
    "[request id: 7] unexpected shape for input 'image' for model 'cirkd'. Expected [-1,-1,-1,3], got [8,8,3].",
  ],
  'no images': [
    withInput({ shape: [0, 8, 8, 3] }, [0]),
    "[request id: 7] unexpected shape for input 'image' for model 'cirkd'. Expected [-1,-1,-1,3], got [0,8,8,3].",
  ],
  'a size left open': [
    withInput({ shape: [1, -1, 8, 3] }),
    "[request id: 7] unexpected shape for input 'image' for model 'cirkd'. Expected [-1,-1,-1,3], got [1,-1,8,3].",
  ],
  'too few bytes': [
    withInput({}, [191]),
    "[request id: 7] input byte size mismatch for input 'image' for model 'cirkd'. Expected 192, got 191",
  ],
  'no bytes': [
    withInput({}, []),
    "unable to find data for input tensor 'image' for model 'cirkd' in request.",
  ],
  'bytes for two inputs': [
    withInput({}, [192, 192]),
    "raw_input_contents: 2 given for 1 inputs of model 'cirkd', wanted one per input",
  ],
  'raw and typed': [
    withInput({ contents: { uintContents: [1] } }),
    "contents field must not be specified when using raw_input_contents for 'image' for model 'cirkd'",
  ],
  'typed as another type': [
    typed({ fp32Contents: [1, 2] }),
    "unexpected explicit tensor data for input tensor 'image' for model 'cirkd' of type 'FP32', expected datatype 'UINT8'",
  ],
  'typed, too few': [
    typed({ uintContents: [1, 2, 3] }),
    "[request id: 7] input byte size mismatch for input 'image' for model 'cirkd'. Expected 192, got 3",
  ],
  'typed, too many': [
    typed({ uintContents: Array(193).fill(1) }),
    "uint_contents: more than 192 elements given for input tensor 'image' for model 'cirkd'",
  ],
  'typed, no bytes': [
    typed({ uintContents: [1, 256] }),
    "uint_contents: 256 given, wanted 0 to 255 for input tensor 'image' for model 'cirkd'",
  ],
  'too large an image': [
    withInput({ shape: [1, 64, 65, 3] }, [12_480]),
    "[request id: 7] input 'image' for model 'cirkd': 64 x 65 = 4160 pixels given, wanted at most 4096",
  ],
  'too many images': [
    withInput({ shape: [17, 8, 8, 3] }, [17 * 192]),
    "[request id: 7] inference request batch-size must be <= 16 for 'cirkd'",
  ],
  'an unknown output': [
    { ...right, outputs: [{ name: 'classes' }] },
    "unexpected inference output 'classes' for model 'cirkd'",
  ],
  classification: [
    { ...right, outputs: [{ name: 'logits', parameters: { classification: { int64Param: 3 } } }] },
    "outputs: parameter 'classification' given, this server has no such extension",
  ],
  'shared memory': [
    withInput({ parameters: { shared_memory_region: { stringParam: 'x' } } }),
    "inputs: parameter 'shared_memory_region' given, this server has no such extension",
  ],
  'a timeout of another type': [
    withParameter('timeout', { stringParam: '1' }),
    "invalid value type for 'timeout' parameter, expected int64_param.",
  ],
  'a negative priority': [
    withParameter('priority', { int64Param: -1 }),
    "invalid value for 'priority', expected value >= 0.",
  ],
  "a parameter of Triton's that isn't": [
    withParameter('triton_magic', { boolParam: true }),
    "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following keys starting with 'triton_' are allowed: triton_enable_empty_final_response",
  ],
};

test("requests that nothing can be computed for: INVALID_ARGUMENT, in Triton's words", async () => {
  const engine = new GatedEngine(true);
  const { port, requests, answers, unexpected } = await startOipServer(engine);
  const peer = new OipPeer(port);
  for (const [name, [request, message]] of Object.entries(REFUSED)) {
    const error = (await peer.infer(request)) as ServiceError;
    assert.equal(error.code, GrpcStatus.INVALID_ARGUMENT, `${name}: ${error.details}`);
    assert.equal(error.details, message, name);
  }
  assert.deepEqual([engine.batches, answers, unexpected], [[], [], []]);
  assert.equal(requests.length, Object.keys(REFUSED).length);
  assert.deepEqual([...new Set(requests)], ['ModelInfer INVALID_ARGUMENT']);
  await peer.answer(right);
});

test('another model, another version', async () => {
  const { port } = await startOipServer(new GatedEngine(true));
  const peer = new OipPeer(port);
  const { code, details } = (await peer.infer({ ...right, modelName: 'resnet' })) as ServiceError;
  assert.deepEqual(
    [code, details],
    [GrpcStatus.NOT_FOUND, "Request for unknown model: 'resnet' is not found"],
  );
  const other = (await peer.infer({ ...right, modelVersion: '3' })) as ServiceError;
  assert.deepEqual(
    [other.code, other.details],
    [GrpcStatus.NOT_FOUND, "Request for unknown model: 'cirkd' version 3 is not found"],
  );
});

test("texts that no status can carry are shown without what it can't", async () => {
  const { port, unexpected } = await startOipServer(new GatedEngine(true));
  const peer = new OipPeer(port);
  // model_name: an unpaired surrogate, which encodeURI would throw at; a line's end; 300 letters.
  const name = Buffer.concat([Buffer.from('eda0800a', 'hex'), Buffer.alloc(300, 'x')]);
  const message = Buffer.concat([Buffer.from([0x0a, 0xb0, 0x02]), name]);
  const { code, details } = (await peer.infer(message)) as ServiceError;
  assert.equal(code, GrpcStatus.NOT_FOUND);
  assert.match(details, /^Request for unknown model: '\u{fffd}+x{90,}…' is not found$/u);
  assert.deepEqual(unexpected, []);
});

test('bytes that are no request: INVALID_ARGUMENT with the reason', async () => {
  const { port } = await startOipServer(new GatedEngine(true), {
    limits: { maxMessageBytes: 1_000_000 },
  });
  const peer = new OipPeer(port);
  const cases: Readonly<Record<string, Buffer>> = {
    'field: 5 bytes announced, 1 left': Buffer.from('0a0561', 'hex'),
    'wire type: 3 given': Buffer.from('0b', 'hex'),
    'more than 256 tensors': Buffer.concat(Array(300).fill(Buffer.from('3a00', 'hex'))),
    'contents given twice': Buffer.from('2a042a002a00', 'hex'),
    'bytes besides tensors given, wanted at most 65536': Buffer.concat([
      Buffer.from('0af0a204', 'hex'),
      Buffer.alloc(70_000, 'x'),
    ]),
  };
  for (const [reason, bytes] of Object.entries(cases)) {
    const { code, details } = (await peer.infer(bytes)) as ServiceError;
    assert.equal(code, GrpcStatus.INVALID_ARGUMENT, reason);
    assert.ok(details.includes(`not a ModelInferRequest`) && details.includes(reason), details);
  }
});

test('faults of the network: refused, not finite, failed; the log has what clients must not see', async () => {
  const engine = new GatedEngine(true);
  engine.faults.set(2, new RefusedImageError('wants 32 x 32'));
  engine.faults.set(3, new NonFiniteOutputError('non-finite logits: element 4'));
  engine.faults.set(4, new Error('/a/path broke'));
  const events: unknown[] = [];
  const { port, answers } = await startOipServer(engine, {
    hooks: { onEvent: (level, message, fields) => events.push([level, message, fields]) },
  });
  const peer = new OipPeer(port);
  const failed = async (...shades: number[]) => {
    const request = inferRequest({ id: 'r', shades });
    const { code, details } = (await peer.infer(request)) as ServiceError;
    return [code, details];
  };
  assert.deepEqual(await failed(2), [GrpcStatus.INVALID_ARGUMENT, '[request id: r] wants 32 x 32']);
  assert.deepEqual(await failed(3), [
    GrpcStatus.INTERNAL,
    '[request id: r] non-finite logits: element 4',
  ]);
  assert.deepEqual(await failed(1, 4, 1), [
    GrpcStatus.INTERNAL,
    '[request id: r] the computation failed; see the log of the server',
  ]);
  assert.deepEqual(answers, ['INVALID_ARGUMENT', ...Array(4).fill('INTERNAL')]);
  const [[level, text, fields]] = events as [[string, string, Record<string, unknown>]];
  assert.deepEqual([level, text, fields['sample']], ['error', 'inference failed', 'r[1]']);
  assert.match(String(fields['error']), /a\/path broke/);
});
