/**
 * Clients that others wrote ask our teacher over the Open Inference Protocol: Triton's own client, blocking,
 * with asyncio and on a stream, and KServe's. Logits are bit for bit those of `cirkd evaluate`; what is wrong
 * is refused as a real Triton refuses it.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { STREET_CLASSES } from '../../../src/data/streets/classes.js';
import { syntheticStreets } from '../../../src/data/syntheticStreets.js';
import { evaluateDataset } from '../../../src/evaluate/evaluateDataset.js';
import { loadSegmenter } from '../../../src/evaluate/networkSegmenter.js';
import { float32 as toTensor, readFloat32 } from '../../../src/tensor/index.js';
import { CirkdProcess } from '../../support/commands/cirkdProcess.js';
import { writeUntrainedModel } from '../../support/modelFiles/untrainedModel.js';
import { kservePeer, tritonclientPeer } from '../../support/peers/oip/inferenceClients.js';
import { PeerServer } from '../../support/peers/oip/peerServer.js';
import { startTriton } from '../../support/peers/oip/tritonServer.js';
import { TeacherProcess } from '../../support/teachers/teacherProcess.js';

const PEER = fileURLToPath(new URL('tritonclientPeer.py', import.meta.url));
const KSERVE = fileURLToPath(new URL('kservePeer.py', import.meta.url));
const MODEL = 'cirkd';
const CLASSES = STREET_CLASSES.length;
/** At width 0.125. */
const CHANNELS = 16;
const SIZE = { height: 48, width: 80 } as const;
const [H, W] = [SIZE.height / 8, SIZE.width / 8];
const SCENES = { samples: 4, seed: 3, ...SIZE } as const;

const folder = mkdtempSync(join(tmpdir(), 'cirkd-oip-'));
const modelFile = join(folder, 'teacher.safetensors');
const dataset = syntheticStreets({ split: 'val', ...SCENES });
/** rgb in a file each. */
const files = dataset.samples.map((_, index) => join(folder, `${index}.rgb`));
let teacher: TeacherProcess;
let address: string;

before(async () => {
  writeUntrainedModel(modelFile, 0.125);
  for (const [index, file] of files.entries()) {
    writeFileSync(file, (await dataset.load(index)).rgb);
  }
  teacher = new TeacherProcess('--checkpoint', modelFile, '--set', 'oip.enabled=true');
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
});
after(async () => {
  teacher?.kill();
  await PeerServer.killAll();
  rmSync(folder, { recursive: true });
});

interface Facts {
  readonly live: boolean;
  readonly ready: boolean;
  readonly modelReady: boolean;
  readonly server: { readonly name: string; readonly extensions: readonly string[] };
  readonly metadata: Tensors & { readonly name: string; readonly versions: readonly string[] };
  readonly config: { readonly config: Config };
  readonly index: { readonly models: readonly object[] };
  readonly statistics: { readonly model_stats: readonly Statistics[] };
}
interface Tensors {
  readonly inputs: readonly object[];
  readonly outputs: readonly { readonly name: string }[];
}
interface Config {
  readonly name: string;
  readonly max_batch_size: number;
  readonly parameters: Readonly<Record<string, { readonly string_value: string }>>;
}
interface Count {
  readonly count?: string;
  readonly ns?: string;
}
/** Numbers come as text, and 0 not at all. */
interface Statistics {
  readonly inference_count?: string;
  readonly execution_count?: string;
  readonly inference_stats: Readonly<Record<'success' | 'fail' | 'queue', Count>>;
}

const facts = () => tritonclientPeer<Facts>(PEER, 'facts', address, MODEL);
const float32 = (file: string) => new Float32Array(new Uint8Array(readFileSync(file)).buffer);

test("tritonclient: the server's and the model's metadata, configuration and index", async () => {
  const { live, ready, modelReady, server, metadata, config, index } = await facts();
  assert.deepEqual([live, ready, modelReady], [true, true, true]);
  assert.equal(server.name, 'cirkd');
  for (const unsupported of ['system_shared_memory', 'cuda_shared_memory', 'trace', 'logging']) {
    assert.ok(!server.extensions.includes(unsupported), `${unsupported} is advertised`);
  }
  assert.deepEqual([metadata.name, metadata.versions], [MODEL, ['1']]);
  assert.deepEqual(metadata.inputs, [
    { name: 'image', datatype: 'UINT8', shape: ['-1', '-1', '-1', '3'] },
  ]);
  assert.deepEqual(metadata.outputs.slice(0, 4), [
    { name: 'logits', datatype: 'FP32', shape: ['-1', '-1', '-1', `${CLASSES}`] },
    { name: 'embedding', datatype: 'FP32', shape: ['-1', '-1', '-1', `${CHANNELS}`] },
    { name: 'feature_norm', datatype: 'FP32', shape: ['-1', '-1', '-1'] },
    { name: 'feature', datatype: 'FP32', shape: ['-1', '-1', '-1', `${CHANNELS}`] },
  ]);
  assert.equal(config.config.name, MODEL);
  const stride = config.config.parameters['cirkd.output_stride']?.string_value;
  assert.equal(stride, '8', JSON.stringify(config.config.parameters));
  assert.deepEqual(index.models, [{ name: MODEL, version: '1', state: 'READY' }]);
});

test('tritonclient: logits are those of cirkd evaluate, by call, asyncio and stream', async () => {
  const images = JSON.stringify(files.map((file) => ({ file, ...SIZE })));
  const said = await tritonclientPeer<{
    readonly outputs: unknown;
    readonly streamed: readonly number[];
  }>(PEER, 'infer', address, MODEL, images);
  assert.deepEqual(said.outputs, [
    ['logits', 'float32', [1, H, W, CLASSES]],
    ['embedding', 'float32', [1, H, W, CHANNELS]],
    ['feature_norm', 'float32', [1, H, W]],
    ['feature', 'float32', [1, H, W, CHANNELS]],
    ['logits_fp16', 'float16', [1, H, W, CLASSES]],
    ['feature_fp16', 'float16', [1, H, W, CHANNELS]],
  ]);
  assert.deepEqual(
    said.streamed,
    files.map((_, index) => index),
  );
  const segmenter = loadSegmenter(readFileSync(modelFile));
  for (const file of files) {
    const logits = segmenter.logits({ ...SIZE, rgb: [new Uint8Array(readFileSync(file))] });
    assert.deepEqual(float32(`${file}.logits`), readFloat32(logits));
    logits.dispose();
    const [embedding, norm] = [float32(`${file}.embedding`), float32(`${file}.feature_norm`)];
    const feature = float32(`${file}.feature`);
    const apart = feature.map((value, at) =>
      Math.abs(value - embedding[at]! * norm[Math.floor(at / CHANNELS)]!),
    );
    assert.ok(Math.max(...apart) < 1e-5, `feature: ${Math.max(...apart)} apart`);
  }
  segmenter.dispose();
});

test("the score of tritonclient's logits is what the command prints", async () => {
  const segmenter = loadSegmenter(readFileSync(modelFile));
  let asked = 0;
  const got = await evaluateDataset(
    {
      classes: CLASSES,
      alignCorners: segmenter.alignCorners,
      logits: () => toTensor(float32(`${files[asked++]}.logits`), [1, H, W, CLASSES]),
    },
    dataset,
  );
  segmenter.dispose();
  const size = ['--height', `${SIZE.height}`, '--width', `${SIZE.width}`];
  const scenes = ['--samples', `${SCENES.samples}`, '--seed', `${SCENES.seed}`, ...size];
  const source = ['--model', modelFile, '--data', 'synthetic', '--split', 'val'];
  const command = new CirkdProcess('evaluate', ...source, ...scenes, '--json');
  assert.equal(await command.exit(), 0, command.stderr);
  const printed = JSON.parse(command.stdout) as { confusion: number[][] };
  assert.deepEqual(printed.confusion.flat(), [...got.confusion]);
});

test('tritonclient: statistics count what was answered and what failed', async () => {
  const statistics = async () => (await facts()).statistics.model_stats[0]!;
  const number = (text: string | undefined) => Number(text ?? 0);
  const earlier = await statistics();
  const images = JSON.stringify([{ file: files[0], ...SIZE }]);
  await tritonclientPeer(PEER, 'infer', address, MODEL, images);
  await tritonclientPeer(PEER, 'errors', address, MODEL);
  const later = await statistics();
  // Five ways of asking for the image, and the good one at the end of the stream of errors.
  const answered = number(later.inference_count) - number(earlier.inference_count);
  assert.equal(answered, 6, JSON.stringify([earlier, later]));
  const success = (of: Statistics) => number(of.inference_stats.success.count);
  assert.equal(success(later) - success(earlier), 6);
  const passes = number(later.execution_count) - number(earlier.execution_count);
  assert.ok(passes > 0 && passes <= 6, `${passes} forward passes`);
  assert.ok(number(later.inference_stats.queue.ns) > 0, JSON.stringify(later));
});

test('what is wrong is refused with the codes and the words of a real Triton', async () => {
  const { config, metadata } = await facts();
  const outputs = metadata.outputs.slice(0, 4).map(({ name }) => ({
    ...{ name, datatype: 'FP32' as const },
    shape:
      name === 'feature_norm' ? [-1, -1, -1] : [-1, -1, -1, name === 'logits' ? CLASSES : CHANNELS],
  }));
  const triton = await startTriton([
    {
      ...{ name: MODEL, maxBatchSize: config.config.max_batch_size, outputs },
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, -1, -1, 3] }],
      fixed: outputs.map(({ shape }) => shape.map((extent) => Math.max(1, extent))),
    },
  ]);
  type Errors = Readonly<Record<string, readonly [code: string | null, message: string]>>;
  const errorsOf = (of: string) => tritonclientPeer<Errors>(PEER, 'errors', of, MODEL);
  const [ours, theirs] = [await errorsOf(address), await errorsOf(triton.address)];
  assert.ok(Object.keys(theirs).length >= 24, Object.keys(theirs).join());
  const wanted = Object.entries(theirs).map(([name, [code, message]]) => [
    name,
    [code, withoutAdvice(message)],
  ]);
  assert.deepEqual(ours, Object.fromEntries(wanted));
});

/** Triton's advice on its own settings, and how its C++ library names what failed, aren't for us to give. */
function withoutAdvice(message: string): string {
  return message
    .replace(/ NOTE: Setting a non-zero max_batch_size .*$/, '')
    .replace(' (details: stol)', '');
}

test("KServe's client: the same logits, from raw bytes and from protobuf's numbers", async () => {
  const [file] = files;
  const args = [address, MODEL, file!, `${SIZE.height}`, `${SIZE.width}`];
  const said = await kservePeer<Readonly<Record<string, unknown>>>(KSERVE, ...args);
  assert.deepEqual([said['live'], said['ready'], said['modelReady']], [true, true, true]);
  assert.deepEqual(said['shapes'], { logits: [1, H, W, CLASSES], feature: [1, H, W, CHANNELS] });
  assert.equal(said['refused'], 'NOT_FOUND');
  const segmenter = loadSegmenter(readFileSync(modelFile));
  const logits = segmenter.logits({ ...SIZE, rgb: [new Uint8Array(readFileSync(file!))] });
  assert.deepEqual(float32(`${file}.kserve.logits`), readFloat32(logits));
  logits.dispose();
  segmenter.dispose();
});
