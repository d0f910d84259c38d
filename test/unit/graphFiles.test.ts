/** Graphs that can't be served give a CheckpointError that names the file, what came and what was wanted. */
import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { GraphSettings } from '../../src/graphs/graphSettings.js';
import { readOnnxFile } from '../../src/graphs/onnxFile.js';
import { openOnnxGraph } from '../../src/graphs/onnxGraph.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { encodeOnnx, type OnnxModel } from '../support/onnx/onnxWriter.js';
import { openTiny, writeTiny } from '../support/onnx/openTiny.js';
import { type TinyGraph, tinyOnnx } from '../support/onnx/tinyGraph.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-graph-files-'));
after(() => rmSync(folder, { recursive: true }));

const CPU = { provider: 'cpu', threads: 1 } as const;

async function faultOf(opening: Promise<unknown>): Promise<string> {
  const error = await opening.then(
    () => assert.fail('it was opened'),
    (fault: unknown) => fault,
  );
  assert.ok(error instanceof CheckpointError, String(error));
  return error.message;
}

/** Opens a tiny graph as a teacher. */
const fault = (graph: TinyGraph, settings: Partial<GraphSettings> = {}) =>
  faultOf(openTiny(writeTiny(folder, graph), settings));

function writeBytes(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

test('a file truncated anywhere is refused by name', async () => {
  const { model } = tinyOnnx();
  assert.ok(model.length > 10_000);
  for (let percent = 0; percent < 100; percent += 2) {
    const bytes = model.slice(0, Math.floor((model.length * percent) / 100));
    const path = writeBytes('cut.onnx', bytes);
    const message = await faultOf(openOnnxGraph(path, CPU));
    assert.match(
      message,
      new RegExp(`^ONNX file ${path}: ${bytes.length} bytes that aren't an ONNX`),
    );
  }
  // Also without only its last bytes, which aren't weights.
  for (let less = 1; less <= 5; less++) {
    const path = writeBytes('cut.onnx', model.slice(0, -less));
    assert.match(await faultOf(openOnnxGraph(path, CPU)), /truncated, or another file/);
  }
});

test('other files and missing ones are refused', async () => {
  const notOnnx = {
    text: Buffer.from('normalisation: imagenet\n'),
    png: Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13]),
    zip: readFileSync(new URL('../golden/data/checkpoints/plain.pth', import.meta.url)),
    zeros: new Uint8Array(1000),
  };
  for (const [name, bytes] of Object.entries(notOnnx)) {
    const message = await faultOf(openOnnxGraph(writeBytes(`${name}.onnx`, bytes), CPU));
    assert.match(message, /that aren't an ONNX model \(.+\): truncated, or another file/, name);
  }
  assert.match(await faultOf(openOnnxGraph(join(folder, 'no.onnx'), CPU)), /no such file/);
  assert.match(await faultOf(openOnnxGraph(folder, CPU)), /EISDIR/);
});

test('a file of more parts than any network has is refused before it is decoded', async () => {
  const { model } = tinyOnnx();
  // Empty nodes in a second graph field.
  const nodes = Buffer.alloc(2_000_002, Buffer.from([0x0a, 0]));
  const length = [0x80 | (2_000_002 & 127), 0x80 | ((2_000_002 >> 7) & 127), 2_000_002 >> 14];
  const bytes = Buffer.concat([model, Buffer.from([0x3a, ...length]), nodes]);
  const message = await faultOf(openOnnxGraph(writeBytes('many.onnx', bytes), CPU));
  assert.match(message, /many\.onnx: graph: more than 1000000 nodes, attributes and tensors given/);
});

test('external data through a link in the folder are read and hashed', async () => {
  const path = writeTiny(folder, { externalFile: 'linked.bin' });
  const { hash } = await readOnnxFile(path);
  const data = join(dirname(path), 'linked.bin');
  const blob = join(mkdtempSync(join(folder, 'blobs-')), 'blob');
  renameSync(data, blob);
  symlinkSync(blob, data);
  assert.equal((await readOnnxFile(path)).hash, hash);
  rmSync(blob);
  assert.match(await faultOf(readOnnxFile(path)), /external data 'linked\.bin': no such file/);
});

test('external data that are missing, short, elsewhere or oddly placed are refused', async () => {
  const path = writeTiny(folder, { externalFile: 'weights.bin' });
  assert.deepEqual((await readOnnxFile(path)).externalFiles, ['weights.bin']);
  truncateSync(join(dirname(path), 'weights.bin'), 1000);
  const bytes = 16 * 3 * 64 * 4;
  assert.match(
    await faultOf(openOnnxGraph(path, CPU)),
    new RegExp(`external data 'weights.bin': 1000 bytes given, the model wants ${bytes}`),
  );
  rmSync(join(dirname(path), 'weights.bin'));
  assert.match(
    await faultOf(openOnnxGraph(path, CPU)),
    /external data 'weights.bin': no such file next to the model/,
  );
  for (const location of ['../weights.bin', '/etc/hostname', 'a/../../b', '..\\b', 'C:\\b', '']) {
    const { model } = tinyOnnx({ externalFile: location });
    const message = await faultOf(openOnnxGraph(writeBytes('elsewhere.onnx', model), CPU));
    assert.match(message, /tensor 'w1': external data at '.*', wanted a file in the model's own/);
  }
});

test('opsets, operators and domains that onnxruntime does not know are refused', async () => {
  const opset = await fault({ opsets: { '': 99 } });
  assert.match(
    opset,
    /ONNX file .*model\.onnx: onnxruntime 1\.\d+\.\d+ does not take it \(opsets ai\.onnx 99\)/,
  );
  const operator = await fault({ activation: { op: 'Sharpen' } });
  assert.match(operator, /Sharpen/);
  const domain = await fault({
    activation: { op: 'Sharpen', domain: 'org.example' },
    opsets: { '': 17, 'org.example': 1 },
  });
  assert.match(domain, /opsets ai\.onnx 17, org\.example 1\).*org\.example/);
});

const identity = (model: Partial<OnnxModel>) =>
  writeBytes(
    'made.onnx',
    encodeOnnx({
      inputs: [{ name: 'image', shape: ['n', 3, 'h', 'w'] }],
      outputs: [{ name: 'out', shape: ['n', 3, 'h', 'w'] }],
      nodes: [{ op: 'Identity', inputs: ['image'], outputs: ['out'] }],
      weights: [],
      ...model,
    }),
  );

test('a graph without a usable output is refused', async () => {
  const image = { name: 'image', shape: ['n', 3, 'h', 'w'] };
  const labels = identity({
    nodes: [{ op: 'ArgMax', inputs: ['image'], outputs: ['labels'], attributes: { axis: 1 } }],
    outputs: [{ name: 'labels', dtype: 'int64', shape: ['n', 1, 'h', 'w'] }],
  });
  assert.match(
    await faultOf(openTiny(labels)),
    /outputs: labels int64 \[\?, 1, \?, \?\] given, wanted logits: one of float numbers/,
  );
  const flat = identity({
    nodes: [
      { op: 'GlobalAveragePool', inputs: ['image'], outputs: ['p'] },
      { op: 'Flatten', inputs: ['p'], outputs: ['flat'] },
    ],
    outputs: [{ name: 'flat', shape: ['n', 3] }],
  });
  assert.match(await faultOf(openTiny(flat)), /flat float32 \[\?, 3\] given, wanted logits/);
  const two = identity({ inputs: [image, { name: 'other', shape: [1] }] });
  assert.match(await faultOf(openTiny(two)), /inputs: image, other given, wanted one, the image/);
});

test('inputs that are no image are refused', async () => {
  const of = (shape: (number | string)[], more: Partial<OnnxModel> = {}) =>
    faultOf(
      openTiny(
        identity({
          inputs: [{ name: 'image', shape }],
          outputs: [{ name: 'out', shape }],
          ...more,
        }),
      ),
    );
  assert.match(await of(['n', 3, 'h']), /input 'image': \[\?, 3, \?\] given, wanted four axes/);
  assert.match(
    await of(['n', 1, 32, 48]),
    /\[\?, 1, 32, 48\] given, wanted 3 channels on axis 1 or 3/,
  );
  assert.match(await of([4, 3, 'h', 'w']), /wanted one image at a time or any number.*not 4/);
  const int64 = identity({
    inputs: [{ name: 'image', dtype: 'int64', shape: ['n', 3, 'h', 'w'] }],
    outputs: [{ name: 'out', dtype: 'int64', shape: ['n', 3, 'h', 'w'] }],
  });
  assert.match(
    await faultOf(openTiny(int64)),
    /'image': int64 given, wanted float32, float16, uint8/,
  );
  assert.match(
    await fault({ dtype: 'uint8' }, { normalisation: 'imagenet' }),
    /is uint8, wanted normalisation: none/,
  );
});

test('all settings that do not fit are reported at once', async () => {
  const message = await fault(
    {},
    { classes: 19, classNames: ['a', 'b'], outputStride: 4, feature: 'logits' },
  );
  assert.match(message, /classes: 19 given \(test\), output 'logits' has 12 channels/);
  assert.match(message, /classNames: 2 given \(test\)/);
  assert.match(
    message,
    /outputStride: 4 given \(test\), logits of 8 x 16 for an image of 64 x 128 have 8/,
  );
  assert.match(message, /feature: logits given \(test\), wanted one of feature \(16 channels/);
  const unknown = await fault({}, { logits: 'scores', feature: 'deep' });
  assert.match(unknown, /logits: scores given \(test\), wanted one of the outputs logits float32/);
  assert.match(unknown, /feature: deep given/);
  assert.match(await fault({}, { layout: 'nhwc' }), /wanted 3 channels on axis 3/);
});

test('everything that cannot be detected is asked for by name at once', async () => {
  const names = ['a', 'b'] as const;
  const message = await fault({ names, classes: 9, channels: 9 }, { normalisation: null });
  assert.match(message, /missing: normalisation \(/);
  assert.match(
    message,
    /missing: logits \(which of a \(9 channels, 8 x 16\), b \(9 channels, 8 x 16\)/,
  );
  // Either axis may be the channels.
  const square = await fault({ size: [3, 3], layout: 'nhwc' }, { normalisation: null });
  assert.match(square, /missing: layout \(nchw or nhwc/);
  assert.match(square, /missing: normalisation/);
});

test('images for which a graph rounds sizes down are refused, naming both sizes', async () => {
  const pool = identity({
    nodes: [
      {
        op: 'AveragePool',
        inputs: ['image'],
        outputs: ['out'],
        attributes: { kernel_shape: [8, 8], strides: [8, 8] },
      },
    ],
    outputs: [{ name: 'out', shape: ['n', 3, 'a', 'b'] }],
  });
  const teacher = await openTiny(pool);
  const image = { height: 20, width: 16, rgb: new Uint8Array(20 * 16 * 3) };
  const [result] = await teacher.infer([image], [{ output: 'logits', encoding: 'fp32' }]);
  assert.match(
    String(result),
    /20 x 16 given, for which the graph's logits are \[1,3,2,2\], wanted \[1,3,3,2\] \(outputStride 8\)/,
  );
  await teacher.dispose();
});

test('a provider whose libraries are missing is named', async () => {
  const path = writeTiny(folder);
  await assert.rejects(openOnnxGraph(path, { provider: 'cuda', threads: 1 }), (error: Error) => {
    assert.equal(error.name, 'ProviderError');
    assert.match(error.message, /graph.provider: cuda given, .*libonnxruntime_providers_cuda\.so/);
    return true;
  });
});
