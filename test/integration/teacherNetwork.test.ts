/** `cirkd teacher` with a real network: what comes over the wire is what the network computes. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { initialWeights } from '../../src/models/initialise.js';
import { writeModelFile } from '../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../src/models/network.js';
import { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import type { TensorChunk } from '../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { decodeHalf } from '../../src/wire/half.js';
import { DistillPeer } from '../support/students/distillPeer.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-network-'));
after(() => rmSync(folder, { recursive: true }));

function makeCheckpoint(): Uint8Array {
  const spec = {
    model: 'deeplab_mobile',
    backbone: 'mobilenetv2',
    variant: 'v1',
    numClasses: 5,
    widthMultiplier: 0.25,
  } as const;
  const network = SegmentationNetwork.create(spec, initialWeights(1));
  const normalisation = {
    pixelMean: [123.675, 116.28, 103.53],
    pixelStd: [58.395, 57.12, 57.375],
    channelOrder: 'rgb',
  } as const;
  const classNames = ['road', 'car', 'person', 'pole', 'sky'];
  const file = writeModelFile({ spec, normalisation, classNames }, network.stateDict());
  network.dispose();
  return file;
}

function joined(chunks: readonly TensorChunk[], output: string): Buffer {
  return Buffer.concat(chunks.filter((one) => one.output === output).map(({ data }) => data));
}

/** Largest difference of an output's numbers from the local network's. */
function worstDifference(wire: Buffer, isHalf: boolean, local: Float32Array): number {
  assert.equal(wire.length, local.length * (isHalf ? 2 : 4));
  const differences = Array.from(local, (value, index) => {
    const got = isHalf
      ? decodeHalf(Uint16Array.of(wire.readUInt16LE(2 * index)))[0]!
      : wire.readFloatLE(4 * index);
    return Math.abs(got - value);
  });
  return Math.max(...differences);
}

test('two images over the wire, in chunks, get the answers of the same network in this process', async () => {
  const file = makeCheckpoint();
  const path = join(folder, 'teacher.safetensors');
  writeFileSync(path, file);
  const warmUp = ['--set', 'warmUp=[[45, 64]]'];
  const teacher = new TeacherProcess('--checkpoint', path, ...warmUp);
  const local = TeacherNetwork.load(file);
  try {
    const line = await teacher.ready();
    assert.ok(line.includes(local.info.digest), line);
    const { grpcPort } = await teacher.listening();
    const peer = new DistillPeer(grpcPort);
    const welcome = await peer.greet({ maxChunkBytes: 4096 });
    assert.deepEqual(welcome?.teacher?.classNames, local.info.classNames);
    assert.equal(welcome?.teacher?.model, 'deeplab_mobile-mobilenetv2/v1 x0.25');
    for (const id of [1, 2]) {
      const rgb = Uint8Array.from({ length: 45 * 64 * 3 }, (_, i) => (i * 7 * id + (i >> 5)) & 255);
      peer.send({ image: { id, height: 45, width: 64, rgb, crc32c: crc32c(rgb) } });
      const chunks = await peer.takeAnswer(3);
      assert.ok(
        chunks.every((chunk) => chunk.id === id),
        `pieces of ${chunks.map((chunk) => chunk.id)}`,
      );
      const outputs = (['logits', 'embedding', 'feature_norm'] as const).map((output) => ({
        output,
        encoding: 'fp32' as const,
      }));
      const [expected] = local.infer([{ height: 45, width: 64, rgb }], outputs);
      assert.ok(Array.isArray(expected), String(expected));
      const values = expected.map(({ tensor }) => new Float32Array(tensor.data));
      assert.deepEqual(chunks[0]?.shape, [6, 8, 5]);
      const [logits, embedding, norm] = values as [Float32Array, Float32Array, Float32Array];
      const scale = Math.max(...logits.map(Math.abs));
      assert.ok(
        worstDifference(joined(chunks, 'OUTPUT_LOGITS'), false, logits) <= 1e-5 * scale,
        'logits differ',
      );
      // Unit rows in fp16: half of the last place below 1 is 2^-12.
      const half = worstDifference(joined(chunks, 'OUTPUT_EMBEDDING'), true, embedding);
      assert.ok(half <= 2 ** -12 + 1e-6, `${half}`);
      assert.ok(half > 0, String(half));
      const largest = Math.max(...norm);
      assert.ok(
        worstDifference(joined(chunks, 'OUTPUT_FEATURE_NORM'), false, norm) <= 1e-5 * largest,
        'norms differ',
      );
    }
    peer.close();
    teacher.signal('SIGTERM');
    assert.equal(await teacher.exit(), 0);
  } finally {
    local.dispose();
    teacher.kill();
  }
});
