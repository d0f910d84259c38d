/** Every way in which a teacher can fail an image ends in exactly one right answer. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { ContractMismatchError, NonFiniteReplyError } from '../../src/contract/teacher.js';
import { ImageRefusedError } from '../../src/stream/client/errors.js';
import type { ClientOptions, RequeueReason } from '../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/client/remoteTeacher.js';
import type { Image } from '../../src/stream/generated/cirkd/teacher/v1/Image.js';
import {
  assertAnswers,
  imageOf,
  type Observed,
  studentOptions,
} from '../support/students/scriptedStudent.js';
import {
  type Chunk,
  chunksOf,
  type Script,
  type ScriptedStream,
  ScriptedTeacher,
} from '../support/teachers/scriptedTeacher.js';

interface Pair {
  teacher: ScriptedTeacher;
  student: RemoteTeacher;
  observed: Observed;
}

async function pair(
  t: TestContext,
  script: Script,
  changes: Partial<ClientOptions> = {},
): Promise<Pair> {
  const teacher = await ScriptedTeacher.start(script);
  t.after(() => teacher.stop());
  const { options, observed } = studentOptions([teacher.address], changes);
  const student = await connectTeachers(options);
  t.after(() => student.close());
  return { teacher, student, observed };
}

/** Runs `fault` for the first image that comes, the right answer for all others. */
function firstTime(fault: (stream: ScriptedStream, image: Image) => void): Script {
  let faults = 0;
  return {
    onImage: (stream, image) => (faults++ === 0 ? fault(stream, image) : stream.answer(image)),
  };
}

function spoilt(change: (chunk: Chunk, index: number) => Chunk | null): Script {
  return firstTime((stream, image) => void stream.answer(image, change));
}

/** Spoils the second row of the logits. */
const spoilSecond = (change: (chunk: Chunk) => Chunk) =>
  spoilt((chunk, index) => (index === 1 ? change(chunk) : chunk));

const faults: [string, RequeueReason, Script, Partial<ClientOptions>?][] = [
  ['wrong crc', 'crc', spoilSecond((chunk) => ({ ...chunk, crc32c: chunk.crc32c ^ 1 }))],
  [
    'flipped bit',
    'crc',
    spoilSecond((chunk) => {
      const data = Buffer.from(chunk.data);
      data[5]! ^= 4;
      return { ...chunk, data };
    }),
  ],
  ['truncated', 'shape', spoilSecond((chunk) => ({ ...chunk, data: chunk.data.subarray(1) }))],
  ['wrong shape', 'shape', spoilSecond((chunk) => ({ ...chunk, shape: [3, 4, 3] }))],
  ['wrong rank', 'shape', spoilSecond((chunk) => ({ ...chunk, shape: [3] }))],
  ['huge shape', 'shape', spoilSecond((chunk) => ({ ...chunk, shape: [4294967295, 3, 3] }))],
  ['wrong dtype', 'shape', spoilSecond((chunk) => ({ ...chunk, dtype: 'DTYPE_FP16' }))],
  ['unknown output', 'shape', spoilSecond((chunk) => ({ ...chunk, output: 'OUTPUT_UNSPECIFIED' }))],
  ['output not asked for', 'shape', spoilSecond((chunk) => ({ ...chunk, output: 4 }))],
  ['rows twice', 'shape', spoilSecond((chunk) => ({ ...chunk, rowBegin: 0, rowEnd: 1 }))],
  ['rows beyond', 'shape', spoilSecond((chunk) => ({ ...chunk, rowEnd: 4294967295 }))],
  ['empty rows', 'shape', spoilSecond((chunk) => ({ ...chunk, rowEnd: 1, data: Buffer.alloc(0) }))],
  ['row left out', 'shape', spoilt((chunk, index) => (index === 1 ? null : chunk))],
  [
    'rows in another order',
    'shape',
    firstTime((stream, image) => {
      const [first, second] = chunksOf(image, stream.hello!, 1);
      void stream.answer(image, (chunk, i) => (i === 0 ? second! : i === 1 ? first! : chunk));
    }),
  ],
  [
    'end missing',
    'timeout',
    spoilt((chunk, i) => (i === 8 ? null : chunk)),
    { requestTimeoutMs: 500 },
  ],
  ['no answer', 'timeout', firstTime(() => {}), { requestTimeoutMs: 500 }],
  [
    'answer to another id',
    'timeout',
    spoilt((chunk) => ({ ...chunk, id: chunk.id + 100 })),
    { requestTimeoutMs: 500 },
  ],
  [
    'answer to another attempt',
    'timeout',
    spoilt((chunk) => ({ ...chunk, attempt: 7 })),
    { requestTimeoutMs: 500 },
  ],
  ['stream cut', 'stream', firstTime((stream) => stream.end(status.INTERNAL, 'cut'))],
  ['stream ended OK', 'stream', firstTime((stream) => stream.end(status.OK, ''))],
  ['welcome twice', 'stream', firstTime((stream) => stream.welcome())],
  [
    'beyond the credit',
    'stream',
    firstTime((stream, image) => {
      const [chunk] = chunksOf(image, stream.hello!, 1);
      stream.sendBeyondCredit({ ...chunk!, id: 999, data: Buffer.alloc(10_001) });
    }),
    { maxInflightBytes: 10_000 },
  ],
  [
    'message beyond the limit',
    'stream',
    firstTime((stream, image) => {
      const [chunk] = chunksOf(image, stream.hello!, 1);
      stream.sendBeyondCredit({ ...chunk!, id: 999, data: Buffer.alloc(1_000_000) });
    }),
    { maxInflightBytes: 10_000 },
  ],
  [
    'retryable error',
    'error',
    firstTime((stream, image) =>
      stream.error(image, {
        code: status.RESOURCE_EXHAUSTED,
        message: 'queue full',
        retryable: true,
      }),
    ),
  ],
  [
    'deadline at the teacher',
    'timeout',
    firstTime((stream, image) =>
      stream.error(image, { code: status.DEADLINE_EXCEEDED, message: 'late', retryable: true }),
    ),
  ],
  [
    'NaN at the teacher',
    'nonfinite',
    firstTime((stream, image) =>
      stream.error(image, {
        code: status.INTERNAL,
        message: 'logits',
        retryable: true,
        reason: 'ERROR_REASON_NON_FINITE',
      }),
    ),
  ],
  [
    'refused while draining',
    'draining',
    firstTime((stream, image) =>
      stream.error(image, {
        code: status.UNAVAILABLE,
        message: 'draining',
        retryable: true,
        reason: 'ERROR_REASON_DRAINING',
      }),
    ),
  ],
];

for (const [name, reason, script, changes] of faults) {
  test(`${name}: asked again (${reason}), answered once`, async (t) => {
    const { teacher, student, observed } = await pair(t, script, changes);
    const image = imageOf(300);
    assertAnswers(await student.request(image), image);
    // On a slow machine the right answer to a second attempt may be late too.
    assert.deepEqual([...new Set(observed.requeued)], [reason]);
    if (reason !== 'timeout') assert.equal(observed.requeued.length, 1);
    assert.deepEqual(
      teacher.images.map(({ attempt }) => attempt),
      [0, ...observed.requeued.map((_, i) => i + 1)],
    );
    assert.equal(observed.inflightBytes, 0);
  });
}

test('late and duplicate answers and unknown members are ignored', async (t) => {
  const late: Image[] = [];
  const { student, observed } = await pair(
    t,
    {
      onImage: async (stream, image) => {
        late.push(image);
        if (late.length === 1) return;
        await stream.answer(late[0]!);
        stream.write({});
        await stream.answer(image);
        await stream.answer(image);
      },
    },
    { requestTimeoutMs: 500 },
  );
  const images = [imageOf(1), imageOf(2), imageOf(3)];
  for (const image of images) assertAnswers(await student.request(image), image);
  assert.deepEqual([...new Set(observed.requeued)], ['timeout']);
});

test('a refused image fails alone, with the message of the teacher', async (t) => {
  const { student, observed } = await pair(t, {
    onImage: (stream, image) =>
      image.sampleKey?.sample === 'sample-2'
        ? stream.error(image, {
            code: status.INVALID_ARGUMENT,
            message: 'width: 24 given, wanted 32',
          })
        : stream.answer(image),
  });
  const replies = await Promise.allSettled([1, 2, 3].map((i) => student.request(imageOf(i))));
  assert.deepEqual(
    replies.map((reply) => reply.status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  const { reason } = replies[1] as PromiseRejectedResult;
  assert.ok(reason instanceof ImageRefusedError, String(reason));
  assert.equal(reason.code, status.INVALID_ARGUMENT);
  assert.match(reason.message, /sample-2: INVALID_ARGUMENT: width: 24 given, wanted 32/);
  assert.deepEqual(observed.requeued, []);
});

test('two non-finite answers give an image up', async (t) => {
  const { student } = await pair(t, {
    onImage: (stream, image) =>
      stream.error(image, {
        code: status.INTERNAL,
        message: 'logits: NaN',
        retryable: true,
        reason: 'ERROR_REASON_NON_FINITE',
      }),
  });
  await assert.rejects(student.request(imageOf(1)), (error: Error) => {
    assert.ok(error instanceof NonFiniteReplyError, String(error));
    assert.match(error.message, /sample-1: .*2 answers were not finite.*logits: NaN/);
    return true;
  });
});

test('a stream of invalid answers is reopened after three failures in a row', async (t) => {
  const { teacher, student, observed } = await pair(t, {
    onImage: (stream, image) =>
      stream.answer(image, (chunk) => (image.attempt < 3 ? { ...chunk, crc32c: 0 } : chunk)),
  });
  assertAnswers(await student.request(imageOf(9)), imageOf(9));
  assert.deepEqual(observed.requeued, ['crc', 'crc', 'crc']);
  assert.equal(teacher.streams.length, 2);
});

test('an image too large for every teacher is refused before it is sent', async (t) => {
  const { teacher, student } = await pair(t, { limits: { maxImagePixels: 400 } });
  await assert.rejects(student.request(imageOf(1)), /17x24 pixels, teacher .* at most 400/);
  await assert.rejects(
    student.request({ ...imageOf(1), height: 16 }),
    /sample-1: 1224 bytes given, 16x24 RGB needs 1152/,
  );
  await student.request(imageOf(1, 16, 16));
  assert.equal(teacher.images.length, 1);
});

test('an answer larger than maxInflightBytes is refused, naming the bytes needed', async (t) => {
  const { student } = await pair(t, {}, { maxInflightBytes: 287 });
  await assert.rejects(student.request(imageOf(1)), {
    name: 'RangeError',
    message: 'maxInflightBytes: 287 given, the answer to a 17x24 image needs at least 288',
  });
});

test('a refused hello is a mismatch with the message of the teacher', async (t) => {
  const script: Script = {
    onHello: (stream) => stream.end(status.FAILED_PRECONDITION, 'outputs: fp16 not served'),
  };
  await assert.rejects(pair(t, script), (error: Error) => {
    assert.ok(error instanceof ContractMismatchError, String(error));
    assert.match(error.message, /refused the hello: FAILED_PRECONDITION: outputs: fp16 not served/);
    return true;
  });
});
