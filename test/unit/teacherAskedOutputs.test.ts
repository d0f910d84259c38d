/** A teacher's network and its server compute and send what was asked for, and auxiliary logits among it. */
import assert from 'node:assert/strict';
import { after, afterEach, test } from 'node:test';
import type { EncodedOutput, OutputRequest } from '../../src/contract/outputs.js';
import { inferenceContext } from '../../src/models/context.js';
import { writeModelFile } from '../../src/models/files/modelFile.js';
import { initialWeights } from '../../src/models/initialise.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { normalise } from '../../src/models/normalise.js';
import type { NetworkSpec } from '../../src/models/spec.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { numTensors, readFloat32, scope } from '../../src/tensor/index.js';
import { DistillPeer, hello, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(() => DistillPeer.closeAll());
after(closeTestServers);

const PIXELS = {
  pixelMean: [104, 116.5, 122.5],
  pixelStd: [57, 58, 59],
  channelOrder: 'bgr' as const,
};

const AUX: OutputRequest = { output: 'aux_norm', encoding: 'fp16' };
const LOGITS: OutputRequest = { output: 'logits', encoding: 'fp32' };
const NORM: OutputRequest = { output: 'feature_norm', encoding: 'fp32' };

function networkOf(form: Pick<NetworkSpec, 'model' | 'backbone'>) {
  const spec: NetworkSpec = { ...form, variant: 'v1', numClasses: 3, widthMultiplier: 0.125 };
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const description = { spec, normalisation: PIXELS, classNames: ['a', 'b', 'c'] };
  const teacher = TeacherNetwork.load(writeModelFile(description, network.stateDict()));
  return { network, teacher };
}

const IMAGE = {
  height: 40,
  width: 56,
  rgb: Uint8Array.from({ length: 40 * 56 * 3 }, (_, i) => (i * 7919) % 256),
};

function outputsOf(result: EncodedOutput[] | Error | undefined): EncodedOutput[] {
  assert.ok(Array.isArray(result), String(result));
  return result;
}

test('norms of auxiliary logits: those of the auxiliary head, which runs only for them', () => {
  const { network, teacher } = networkOf({ model: 'psp', backbone: 'resnet18' });
  assert.equal(teacher.info.hasAuxLogits, true);
  const direct = scope(() => {
    const context = inferenceContext();
    const pixels = normalise({ ...IMAGE, rgb: [IMAGE.rgb] }, PIXELS);
    const { aux, logits } = network.forward(context, context.tape.constant(pixels));
    context.tape.dispose();
    return { aux: readFloat32(aux!.value), logits: readFloat32(logits.value) };
  });
  const before = numTensors();
  const outputs = outputsOf(teacher.infer([IMAGE], [AUX, LOGITS])[0]);
  assert.equal(numTensors(), before, 'tensors left over');
  assert.deepEqual(
    outputs.map(({ output, tensor: { dtype, shape } }) => [output, dtype, shape]),
    [
      ['aux_norm', 'fp32', [5, 7]],
      ['logits', 'fp32', [5, 7, 3]],
    ],
  );
  const norms = new Float32Array(outputs[0]!.tensor.data);
  for (const [position, norm] of norms.entries()) {
    const row = direct.aux.subarray(3 * position, 3 * (position + 1));
    assert.ok(Math.abs(norm - Math.hypot(...row)) <= 1e-6 * norm, `${norm} at ${position}`);
  }
  assert.ok(new Set(norms).size > 1, 'one number everywhere');
  assert.deepEqual(new Float32Array(outputs[1]!.tensor.data), direct.logits);
  // Without them the answer is the same, bit for bit.
  const [alone] = outputsOf(teacher.infer([IMAGE], [LOGITS])[0]);
  assert.deepEqual(new Float32Array(alone!.tensor.data), direct.logits);
  network.dispose();
  teacher.dispose();
});

test('a network without the head says so, and refuses what would be made of it', () => {
  const { network, teacher } = networkOf({ model: 'psp_mobile', backbone: 'mobilenetv2' });
  assert.equal(teacher.info.hasAuxLogits, false);
  assert.throws(() => teacher.infer([IMAGE], [AUX]), {
    name: 'RangeError',
    message: 'output: aux_norm given, and the network provides no auxiliary logits',
  });
  network.dispose();
  teacher.dispose();
});

const logits = { output: 'OUTPUT_LOGITS', encoding: 'ENCODING_FP16' } as const;
const aux = { output: 'OUTPUT_AUX_NORM', encoding: 'ENCODING_FP32' } as const;

function withoutAux(engine: GatedEngine) {
  return {
    info: { ...engine.info, hasAuxLogits: false },
    classifier: engine.classifier,
    infer: engine.infer.bind(engine),
    close: () => engine.close(),
  };
}

test('a server grants and sends them; one whose teacher has none leaves them out', async () => {
  const engine = new GatedEngine(true);
  for (const [served, granted] of [
    [engine, [logits, aux]],
    [withoutAux(engine), [logits]],
  ] as const) {
    const peer = new DistillPeer((await startTestServer(served)).port);
    const welcome = await peer.greet({ outputs: [logits, aux] });
    assert.equal(welcome?.teacher?.hasAuxLogits, granted.length === 2);
    assert.deepEqual(welcome?.outputs, granted);
    peer.send({ image: image(1) });
    const answer = await peer.takeAnswer(granted.length);
    const names = new Set(answer.map(({ output }) => output));
    assert.deepEqual(names, new Set(granted.map(({ output }) => output)));
  }
});

test('a hello that wants nothing else from such a server is refused by name', async () => {
  const { port } = await startTestServer(withoutAux(new GatedEngine(true)));
  const peer = new DistillPeer(port);
  peer.send({ hello: hello({ outputs: [aux] }) });
  const { code, details } = await peer.status;
  assert.equal(code, GrpcStatus.FAILED_PRECONDITION);
  assert.match(
    details,
    /OUTPUT_AUX_NORM given, but this teacher provides no auxiliary logits: wanted OUTPUT_LOGITS/,
  );
});

test('a simulated answer is a function of its image in every output', async () => {
  const engine = new GatedEngine(true);
  const flipped = { ...IMAGE, rgb: Uint8Array.from(IMAGE.rgb, (value) => 255 - value) };
  const [one, other] = await engine.infer([IMAGE, flipped], [AUX, NORM]);
  for (const [index, { tensor }] of outputsOf(one).entries()) {
    assert.deepEqual(tensor.shape, [5, 7]);
    assert.notDeepEqual(tensor.data, outputsOf(other)[index]!.tensor.data);
  }
});
