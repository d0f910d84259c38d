// @own-process: the entry sets V8's flags and TensorFlow's environment
/** The public entry in this process: configs, errors, a teacher's life. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  BindError,
  CheckpointError,
  ConfigError,
  DataError,
  exitCodeOf,
  readStudentConfig,
  runStudent,
  startTeacher,
  studentConfig,
  teacherConfig,
} from '../../services/index.js';
import { fromCrossing, toCrossing } from '../../src/threads/crossingError.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-library-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const simulated = {
  simulate: { enabled: true, classes: 3, featureChannels: 8, latencyMs: 1 },
  listen: { port: 0 },
  metrics: { port: 0 },
  log: { level: 'silent' },
} as const;
const scenes = (seed: number) =>
  ({ kind: 'synthetic', samples: 2, height: 32, width: 32, seed }) as const;

const faultsOf = (work: () => unknown): string[] => {
  try {
    work();
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(exitCodeOf(error), 2);
    return error.faults.map(({ key, message }) => `${key}: ${message}`);
  }
  throw new Error('nothing was thrown');
};

test('configs have the defaults of the command line, and the given object is not changed', () => {
  const given = { ...structuredClone(simulated), log: {} };
  const before = structuredClone(given);
  const config = teacherConfig(given);
  assert.deepEqual(given, before);
  assert.equal(config.listen.host, '127.0.0.1');
  assert.equal(config.limits.maxStreams, 16);
  const file = join(folder, 'student.yaml');
  const text =
    'data: {train: {kind: synthetic, samples: 2}, val: {kind: synthetic, samples: 1, seed: 1}}';
  writeFileSync(file, `${text}\ntrain: {steps: 3}\n`);
  assert.deepEqual(
    readStudentConfig(file, ['seed=9']),
    studentConfig({
      seed: 9,
      data: {
        train: { kind: 'synthetic', samples: 2 },
        val: { kind: 'synthetic', samples: 1, seed: 1 },
      },
      train: { steps: 3 },
    }),
  );
});

test('a config is refused with all its faults at once, also from untyped code', () => {
  const wrong = { simulate: { enabled: true, clases: 3 }, listen: { port: '50051' } };
  assert.deepEqual(
    faultsOf(() => teacherConfig(wrong as never)),
    [
      'simulate.clases: unknown key, did you mean simulate.classes?',
      'listen.port: got "50051", wanted an integer from 0 to 65535 or null',
    ],
  );
  assert.match(faultsOf(() => teacherConfig({}))[0]!, /^checkpoint: none given, wanted one of/);
  for (const value of [undefined, null, 'text', 7, []]) {
    assert.ok(faultsOf(() => teacherConfig(value as never)).length > 0, String(value));
  }
  assert.match(
    faultsOf(() => studentConfig({ seed: () => 1 } as never))[0]!,
    /^: got what is no plain data: .*could not be cloned/,
  );
  assert.match(
    faultsOf(() => readStudentConfig(join(folder, 'none.yaml')))[0]!,
    /^: ENOENT.*none\.yaml/,
  );
});

test('a teacher serves until it is closed; a second close has no effect', async () => {
  const teacher = await startTeacher(teacherConfig(simulated));
  assert.equal(teacher.info.classes, 3);
  assert.equal(teacher.healthAddress, teacher.address);
  assert.match(await (await fetch(teacher.metricsUrl!)).text(), /^cirkd_teacher_streams 0$/m);

  const port = Number(teacher.address.split(':').at(-1));
  const taken = teacherConfig({ ...simulated, listen: { port } });
  await assert.rejects(startTeacher(taken), BindError);

  const [first, second] = [teacher.close(), teacher.close()];
  assert.equal(first, second);
  assert.equal(await first, 'drained');
  await assert.rejects(fetch(teacher.metricsUrl!));
  // Its port is free again.
  await (await startTeacher(taken)).close();
});

test('an aborted or failed start leaves nothing open', async () => {
  const stop = new AbortController();
  const reason = new Error('changed my mind');
  const starting = startTeacher(teacherConfig(simulated), { stop: stop.signal });
  stop.abort(reason);
  await assert.rejects(starting, (error) => error === reason);

  const file = join(folder, 'broken.safetensors');
  writeFileSync(file, 'no safetensors');
  const { simulate: _, ...rest } = simulated;
  const lines: string[] = [];
  const log = { write: (line: string) => lines.push(line) };
  const broken = teacherConfig({ ...rest, checkpoint: file, log: { level: 'info' } });
  await assert.rejects(startTeacher(broken, { log }), CheckpointError);
  const records = lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    records.map(({ msg }) => msg),
    ['config', 'listening; loading the network', 'stopped'],
  );
  await assert.rejects(fetch(records[1].metrics));
});

test('errors from a thread keep their class and their exit code', () => {
  const crossed = structuredClone(toCrossing(new DataError('label 40')));
  const error = fromCrossing(crossed, [DataError]);
  assert.ok(error instanceof DataError && error instanceof Error);
  assert.equal(error.message, 'label 40');
  assert.equal(exitCodeOf(error), 7);
  assert.equal(exitCodeOf(new Error('?')), 1);
  assert.equal(exitCodeOf('?'), 1);
});

test('a student stopped before it starts leaves no files; a missing folder is a DataError', async () => {
  const quiet = { write: () => true };
  const config = studentConfig({
    run: { directory: folder, id: 'stopped' },
    data: { train: scenes(1), val: scenes(2), crop: { height: 32, width: 32 } },
    train: { steps: 1, batchSize: 2 },
    metrics: { port: null },
    log: { level: 'silent' },
  });
  const stop = AbortSignal.abort();
  assert.deepEqual(await runStudent(config, { stop, progress: quiet }), {
    ended: 'stopped',
    folder: null,
  });
  const root = join(folder, 'no-camvid');
  const camvid = { kind: 'camvid', root } as const;
  const data = { ...config.data, train: camvid, val: camvid };
  const missing = runStudent(studentConfig({ ...config, data }), { progress: quiet });
  await assert.rejects(missing, DataError);
});

test('docs/library.md shows the programs of examples/api', () => {
  const read = (path: string) =>
    readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
  const shown = [...read('docs/library.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(
    ([, code]) => code,
  );
  assert.deepEqual(shown, [read('examples/api/teacher.ts'), read('examples/api/student.ts')]);
});
