/** A student that rebuilds logits: no image before the teacher's classifier is there and is right. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { studentOptions } from '../support/students/scriptedStudent.js';
import {
  CHANNELS,
  type Chunk,
  CLASSES,
  type ScriptedStream,
  ScriptedTeacher,
} from '../support/teachers/scriptedTeacher.js';

const VALUES = Float32Array.from({ length: CLASSES * (CHANNELS + 1) }, (_, i) => i - 7);
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** Row `row` of a classifier. */
function piece(row: number, values: Float32Array = VALUES, shape = [CLASSES, CHANNELS + 1]): Chunk {
  const all = Buffer.from(values.buffer);
  const rowBytes = 4 * (CHANNELS + 1);
  const data = all.subarray(row * rowBytes, (row + 1) * rowBytes);
  return {
    ...{ id: 0, attempt: 0, output: 'OUTPUT_CLASSIFIER', dtype: 'DTYPE_FP32', shape },
    ...{ rowBegin: row, rowEnd: row + 1, crc32c: crc32c(data), data },
  };
}

async function start(onHello: (stream: ScriptedStream, teacher: number) => void, count = 1) {
  const teachers = await Promise.all(
    Array.from({ length: count }, (_, teacher) =>
      ScriptedTeacher.start({ onHello: (stream) => onHello(stream, teacher) }),
    ),
  );
  for (const teacher of teachers) open.push({ close: () => teacher.stop() });
  return teachers;
}

async function connect(teachers: readonly ScriptedTeacher[]): Promise<RemoteTeacher> {
  const addresses = teachers.map(({ address }) => address);
  const { options } = studentOptions(addresses, { logits: 'rebuilt', requestTimeoutMs: 5000 });
  const student = await connectTeachers(options);
  open.push(student);
  return student;
}

function greet(stream: ScriptedStream, values?: Float32Array): void {
  stream.welcome();
  for (let row = 0; row < CLASSES; row++) stream.write({ tensor: piece(row, values) });
}

test('the classifier is requested with the other outputs and arrives in chunks', async () => {
  const teachers = await start((stream) => greet(stream));
  const student = await connect(teachers);
  assert.deepEqual(student.classifier?.shape, [CLASSES, CHANNELS + 1]);
  assert.deepEqual(new Float32Array(student.classifier!.data), VALUES);
  assert.deepEqual(
    teachers[0]!.streams[0]!.hello!.outputs.map(({ output }) => output),
    ['OUTPUT_EMBEDDING', 'OUTPUT_FEATURE_NORM', 'OUTPUT_CLASSIFIER'],
  );
});

const refusals: Record<string, [(stream: ScriptedStream) => void, RegExp]> = {
  'one that is not finite': [
    (stream) => greet(stream, VALUES.with(3, Number.NaN)),
    /classifier: teacher .* sent a non-finite value at 3 of \[3,5\]/,
  ],
  'one too large to be true': [
    (stream) => stream.welcome({ featureChannels: 2 ** 31 }),
    /classifier: 25769803788 bytes at teacher/,
  ],
};

for (const [name, [onHello, message]] of Object.entries(refusals)) {
  test(`${name} is a contract mismatch`, async () => {
    const teachers = await start(onHello);
    await assert.rejects(connect(teachers), { name: 'ContractMismatchError', message });
  });
}

test('classifier chunks of the wrong shape, or other messages in their place, end the stream; the client reconnects', async () => {
  let hellos = 0;
  const teachers = await start((stream) => {
    hellos += 1;
    if (hellos === 1) {
      stream.welcome();
      stream.write({ tensor: piece(0, VALUES, [CLASSES, CHANNELS]) });
    } else if (hellos === 2) {
      stream.welcome();
      stream.write({ tensor: { ...piece(0), crc32c: 1 } });
    } else if (hellos === 3) {
      stream.welcome();
      stream.write({ creditBytes: 1 });
    } else greet(stream);
  });
  await connect(teachers);
  assert.equal(hellos, 4);
});

test('a second teacher with a different classifier under the same digest gets no image', async () => {
  const teachers = await start((stream, teacher) => {
    // The first one is first.
    setTimeout(() => greet(stream, teacher === 0 ? VALUES : VALUES.with(0, 1)), 100 * teacher);
  }, 2);
  const states: string[] = [];
  const addresses = teachers.map(({ address }) => address);
  const refused = new Promise<string>((resolve) => {
    const { options } = studentOptions(addresses, {
      logits: 'rebuilt',
      onTeacher({ state, detail }) {
        states.push(state);
        if (state === 'refused') resolve(detail);
      },
    });
    void connectTeachers(options).then((student) => open.push(student));
  });
  assert.match(await refused, /sent a different one than .* under the same digest/);
  assert.equal(teachers[1]!.images.length, 0);
  assert.ok(states.includes('ready'), states.join());
});

test('a teacher that never sends its classifier does not become the reference: one with other weights is accepted', async () => {
  const other = `sha256:${'b'.repeat(64)}`;
  const teachers = await start((stream, teacher) => {
    if (teacher === 0) return stream.welcome();
    // The first one's welcome is there by then.
    setTimeout(() => {
      stream.welcome({ digest: other });
      for (let row = 0; row < CLASSES; row++) stream.write({ tensor: piece(row) });
    }, 100);
  }, 2);
  const student = await connect(teachers);
  assert.equal(student.info.digest, other);
});
