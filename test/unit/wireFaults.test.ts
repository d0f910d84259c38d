/** Faults on purpose on the wire, as a client of a real server sees them. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { wireFaults } from '../../services/teacher/wireFaults.js';
import type { TensorChunk } from '../../src/stream/generated/cirkd/teacher/v1/TensorChunk.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { DistillPeer, image } from '../support/students/distillPeer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers, startTestServer } from '../support/teachers/teacherServer.js';

afterEach(closeTestServers);

const LOGITS_BYTES = 72;

/** Pieces of the answers to images 1, 2, …, in the order in which they came. */
async function answers(
  images: number,
  pieces: number,
  faults: Partial<Parameters<typeof wireFaults>[0]>,
): Promise<TensorChunk[]> {
  const none = { corruptEvery: 0, truncateEvery: 0, duplicateEvery: 0 };
  const tapChunks = wireFaults({ ...none, ...faults });
  const engine = new GatedEngine(true);
  const { port } = await startTestServer(engine, {}, undefined, {}, { tapChunks });
  const peer = new DistillPeer(port);
  await peer.greet();
  for (let id = 1; id <= images; id++) peer.send({ image: image(id) });
  return peer.takeAnswer(pieces);
}

const outputsOf = (chunks: TensorChunk[]) =>
  chunks.map(({ id, output }) => `${id} ${output.replace('OUTPUT_', '')}`);

const WHOLE = (id: number) => [`${id} LOGITS`, `${id} EMBEDDING`, `${id} FEATURE_NORM`];

test('without a fault nothing sits between sender and connection', () => {
  assert.equal(wireFaults({ corruptEvery: 0, truncateEvery: 0, duplicateEvery: 0 }), undefined);
});

test('corrupt: one bit of every second answer is flipped, its checksum left as it was', async () => {
  const chunks = await answers(4, 12, { corruptEvery: 2 });
  assert.deepEqual(outputsOf(chunks), [1, 2, 3, 4].flatMap(WHOLE));
  const wrong = chunks.filter(({ data, crc32c: sum }) => crc32c(data) !== sum);
  assert.deepEqual(outputsOf(wrong), ['2 LOGITS', '4 LOGITS']);
  for (const { data, crc32c: sum } of wrong) {
    const mended = Buffer.from(data);
    mended[data.length >> 1]! ^= 1;
    assert.equal(crc32c(mended), sum);
  }
});

test('truncate: the first chunk is missing, then the second, then one is cut short', async () => {
  const chunks = await answers(4, 9, { truncateEvery: 1 });
  const [, embedding, norm] = WHOLE(1);
  assert.deepEqual(outputsOf(chunks), [
    ...[embedding, norm],
    ...['2 LOGITS', '2 FEATURE_NORM'],
    ...WHOLE(3),
    ...['4 EMBEDDING', '4 FEATURE_NORM'],
  ]);
  const logits = chunks.filter(({ output }) => output === 'OUTPUT_LOGITS');
  assert.deepEqual(
    logits.map(({ data }) => data.length),
    [LOGITS_BYTES, LOGITS_BYTES / 2],
  );
});

test('duplicate: a chunk is sent twice, then a whole answer again, late', async () => {
  const chunks = await answers(5, 19, { duplicateEvery: 2 });
  assert.deepEqual(outputsOf(chunks), [
    ...WHOLE(1),
    ...['2 LOGITS', ...WHOLE(2)],
    ...[3, 4, 4, 5].flatMap(WHOLE),
  ]);
});
