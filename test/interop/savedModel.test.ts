/** SavedModels of real TensorFlow and Keras answer here as they do in Python, and teach a student. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSavedModel } from '../../src/graphs/savedModel.js';
import { float32, numTensors, readFloat32 } from '../../src/tensor/index.js';
import { CirkdProcess } from '../support/commands/cirkdProcess.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { tensorflowPeer } from '../support/peers/tensorflowPeer.js';
import { tinyStudent } from '../support/training/tinyRun.js';

const PEER = fileURLToPath(new URL('savedModelPeer.py', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-saved-models-'));

interface Answer {
  readonly image: readonly number[];
  readonly outputs: Readonly<Record<string, { shape: number[]; base64: string }>>;
}

let answers: Readonly<Record<string, Answer[]>>;

before(async () => {
  answers = await tensorflowPeer(PEER, folder);
});
after(() => rmSync(folder, { recursive: true }));

/** The peer's image(). */
function image(shape: readonly number[]) {
  const length = shape.reduce((product, size) => product * size, 1);
  return float32(
    Float32Array.from({ length }, (_, index) => (index * 37) % 256),
    shape,
  );
}

/** What an answer may differ by, beside 1: a step of the outputs' own type, where that isn't float32. */
const MODELS: Readonly<Record<string, { readonly input: string; readonly tolerance: number }>> = {
  plain: { input: 'float32', tolerance: 1e-5 },
  bytes: { input: 'uint8', tolerance: 1e-5 },
  halves: { input: 'half', tolerance: 2 ** -10 },
  bfloats: { input: 'bfloat16', tolerance: 2 ** -7 },
  doubles: { input: 'float64', tolerance: 1e-5 },
  named: { input: 'float32', tolerance: 1e-5 },
  several: { input: 'float32', tolerance: 1e-5 },
  table: { input: 'float32', tolerance: 1e-5 },
  keras: { input: 'float32', tolerance: 1e-5 },
};

for (const [name, { input, tolerance }] of Object.entries(MODELS)) {
  test(`${name}: every output is TensorFlow's, whatever batch and size`, async () => {
    const before = numTensors();
    const graph = await openSavedModel(join(folder, name));
    assert.deepEqual(graph.inputs[0]?.dtype, input);
    assert.deepEqual(graph.inputs[0]?.shape, [null, null, null, 3]);
    for (const { image: shape, outputs } of answers[name]!) {
      const names = Object.keys(outputs);
      assert.ok(names.includes('logits') && names.includes('feature'), names.join());
      const given = image(shape);
      const results = await graph.run(given, names);
      for (const [index, result] of results.entries()) {
        const wanted = outputs[names[index]!]!;
        assert.deepEqual([...result.shape], wanted.shape, names[index]);
        assertClose(readFloat32(result), floats(wanted.base64), tolerance, names[index]!);
        result.dispose();
      }
      given.dispose();
    }
    await graph.close();
    assert.equal(numTensors(), before);
  });
}

test('an output of texts is listed, and refused where it is asked for', async () => {
  const graph = await openSavedModel(join(folder, 'table'));
  const dtypes = Object.fromEntries(graph.outputs.map(({ name, dtype }) => [name, dtype]));
  const float = 'float32';
  assert.deepEqual(dtypes, { classes: 'int64', feature: float, logits: float, names: 'string' });
  const given = image([1, 32, 32, 3]);
  await assert.rejects(
    graph.run(given, ['names']),
    /output 'names': string given, wanted float32,/,
  );
  given.dispose();
  await graph.close();
});

for (const name of ['plain', 'keras']) {
  test(`${name}: served over gRPC, it teaches a student 20 steps with every term`, async () => {
    const teacher = new TeacherProcess(
      ...['--saved-model', join(folder, name), '--set', 'graph.normalisation=none'],
    );
    try {
      await teacher.ready();
      const { grpcPort } = await teacher.listening();
      const settings = [`run.id=of-${name}`, `teacher.addresses=["127.0.0.1:${grpcPort}"]`];
      const student = new CirkdProcess(
        ...['student', '--config', tinyStudent(folder)],
        ...[...settings, 'train.steps=20'].flatMap((one) => ['--set', one]),
      );
      assert.equal(await student.exit(), 0, student.stderr);
      assert.doesNotMatch(student.stderr, /terms left out/);
    } finally {
      teacher.kill();
    }
    const lines = readFileSync(join(folder, `of-${name}`, 'events.jsonl'), 'utf8')
      .trimEnd()
      .split('\n');
    const steps = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === 'step');
    assert.equal(steps.length, 20);
    const names = ['task', 'logits_kd', 'minibatch_pixel', 'memory_pixel', 'memory_region'];
    for (const { terms } of steps) {
      assert.deepEqual(Object.keys(terms), [...names, 'total']);
      const values = Object.values(terms as Record<string, number>);
      assert.ok(
        values.every((value) => value > 0),
        JSON.stringify(terms),
      );
    }
  });
}

function floats(base64: string): Float32Array {
  return new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer);
}

function assertClose(given: Float32Array, wanted: Float32Array, tolerance: number, what: string) {
  assert.equal(given.length, wanted.length);
  let worst = 0;
  for (const [at, value] of given.entries()) {
    const size = Math.max(1, Math.abs(wanted[at]!));
    worst = Math.max(worst, Math.abs(value - wanted[at]!) / size);
  }
  assert.ok(worst <= tolerance, `${what}: ${worst} away, wanted at most ${tolerance}`);
}
