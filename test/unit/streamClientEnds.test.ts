/** How a student without a fitting teacher ends, and how requests and clients are ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { ContractMismatchError, TeacherUnavailableError } from '../../src/contract/teacher.js';
import type { ClientOptions } from '../../src/stream/client/options.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { DnsServer } from '../support/connections/dnsServer.js';
import { eventually } from '../support/eventually.js';
import { assertAnswers, imageOf, studentOptions } from '../support/students/scriptedStudent.js';
import { deadAddress, REPLY_BYTES, student, teachers } from '../support/teachers/scriptedFleet.js';
import {
  CLASSES,
  DIGEST,
  type Script,
  type ScriptedStream,
  ScriptedTeacher,
} from '../support/teachers/scriptedTeacher.js';

// Most of these wait for times to pass: together they take no longer than the longest.
describe('a student without its teachers', { concurrency: 5 }, () => {
  test('when all teachers go away, all waiting requests fail; when they return, new requests are answered', async (t) => {
    const [scripted] = await teachers(t, { onImage: () => {} });
    const { teacher } = await student(t, [scripted!], { teacherTimeoutMs: 3000 });
    const waiting = [1, 2, 3].map((i) => teacher.request(imageOf(i)));
    await eventually(() => scripted!.images.length === 3);
    scripted!.stop();
    for (const result of await Promise.allSettled(waiting)) {
      assert.ok(
        result.status === 'rejected' && result.reason instanceof TeacherUnavailableError,
        JSON.stringify(result),
      );
      assert.match(result.reason.message, /127\.0\.0\.1:\d+ \(UNAVAILABLE/);
    }
    const again = teacher.request(imageOf(4));
    const back = await ScriptedTeacher.start({ port: scripted!.port });
    t.after(() => back.stop());
    assertAnswers(await again, imageOf(4));
  });

  test('silence is no fault while no request waits', async (t) => {
    const { teacher } = await student(t, await teachers(t, {}), { teacherTimeoutMs: 2000 });
    await new Promise((resolve) => setTimeout(resolve, 2300));
    assertAnswers(await teacher.request(imageOf(1)), imageOf(1));
  });

  test('each field of the contract is checked; a mismatch names it and both values', async (t) => {
    const cases: [Script['info'] & object, Partial<ClientOptions['expected']>, RegExp][] = [
      [{ classes: 19 }, {}, /classes: teacher 127\.0\.0\.1:\d+ has 19, the student's is 3/],
      [{ outputStride: 16 }, {}, /output_stride: teacher \S+ has 16, the student's is 8/],
      [
        {},
        { digest: 'sha256:other' },
        /digest: teacher \S+ has sha256:a+, the student's is sha256:other/,
      ],
      [{}, { featureChannels: 512 }, /feature_channels: teacher \S+ has 4, the student's is 512/],
      [
        { featureChannels: 0 },
        {},
        /outputs: teacher \S+ has OUTPUT_EMBEDDING .*, the student's is /,
      ],
    ];
    for (const [info, expected, message] of cases) {
      const [scripted] = await teachers(t, { info });
      const { options } = studentOptions([scripted!.address], {
        expected: { classes: CLASSES, outputStride: 8, ...expected },
      });
      await assert.rejects(connectTeachers(options), (error: Error) => {
        assert.ok(error instanceof ContractMismatchError, String(error));
        assert.match(error.message, message);
        return true;
      });
    }
  });

  test("a teacher with weights other than the first one's is refused, and accepted once it fits", async (t) => {
    let weights = `sha256:${'b'.repeat(64)}`;
    const held: ScriptedStream[] = [];
    let hold = true;
    const [first, other] = await teachers(
      t,
      {},
      { onHello: (stream) => (hold ? held.push(stream) : stream.welcome({ digest: weights })) },
    );
    const { teacher, observed } = await student(t, [first!, other!]);
    await eventually(() => held.length === 1);
    hold = false;
    held[0]!.welcome({ digest: weights });
    await eventually(() => observed.states.includes(`${other!.address} refused`));
    await Promise.all(Array.from({ length: 10 }, (_, i) => teacher.request(imageOf(i))));
    assert.equal(first!.images.length, 10);
    weights = DIGEST;
    await eventually(() => observed.states.includes(`${other!.address} ready`));
    await Promise.all(Array.from({ length: 10 }, (_, i) => teacher.request(imageOf(i))));
    assert.ok(other!.images.length > 0, String(other!.images.length));
  });

  test('during a rolling update to other weights the run continues with the remaining teachers, and ends when none is left', async (t) => {
    const other = `sha256:${'b'.repeat(64)}`;
    const updated = new Set<number>();
    const scripts = [0, 1, 2].map(
      (i): Script => ({
        onHello: (stream) => stream.welcome(updated.has(i) ? { digest: other } : {}),
      }),
    );
    const all = await teachers(t, ...scripts);
    const { teacher, observed } = await student(t, all, { teacherTimeoutMs: 2500 });
    const inState = (i: number, state: string) =>
      observed.states.includes(`${all[i]!.address} ${state}`);
    await eventually(() => [0, 1, 2].every((i) => inState(i, 'ready')));
    for (const i of [0, 1]) {
      updated.add(i);
      all[i]!.streams.at(-1)!.end(status.UNAVAILABLE, 'restarts');
      await eventually(() => inState(i, 'refused'));
      const before = all[i]!.images.length;
      const numbers = Array.from({ length: 10 }, (_, k) => k);
      const replies = await Promise.all(numbers.map((k) => teacher.request(imageOf(k))));
      for (const [k, reply] of replies.entries()) assertAnswers(reply, imageOf(k));
      assert.equal(all[i]!.images.length, before);
    }
    updated.add(2);
    all[2]!.streams.at(-1)!.end(status.UNAVAILABLE, 'restarts');
    await eventually(() => inState(2, 'refused'));
    await assert.rejects(teacher.request(imageOf(1)), (error: Error) => {
      assert.ok(error instanceof ContractMismatchError, String(error));
      const pattern = `digest: teacher \\S+ has ${other}, the first teacher's \\(\\S+\\) is ${DIGEST}`;
      assert.match(error.message, new RegExp(`^no teacher fits this student: .*${pattern}`));
      return true;
    });
  });

  test('one refused and one unavailable teacher: a mismatch after the time-out', async (t) => {
    const [scripted] = await teachers(t, { info: { classes: 19 } });
    const { options } = studentOptions([scripted!.address, await deadAddress()], {
      teacherTimeoutMs: 3000,
    });
    await assert.rejects(connectTeachers(options), /no teacher fits.*has 19.*UNAVAILABLE/);
  });

  test('an aborted request rejects with the reason, is cancelled, and frees its room', async (t) => {
    const [scripted] = await teachers(t, {
      onImage: (stream, image) =>
        image.sampleKey!.sample === 'sample-1' ? undefined : stream.answer(image),
    });
    const { teacher, observed } = await student(t, [scripted!], { maxInflightBytes: REPLY_BYTES });
    const abort = new AbortController();
    const [sent, queued] = [1, 2].map((i) => teacher.request(imageOf(i), abort.signal));
    const third = teacher.request(imageOf(3));
    await eventually(() => scripted!.images.length === 1);
    abort.abort(new Error('enough'));
    await assert.rejects(sent!, /enough/);
    await assert.rejects(queued!, /enough/);
    await assert.rejects(teacher.request(imageOf(4), abort.signal), /enough/);
    assertAnswers(await third, imageOf(3));
    assert.deepEqual(
      scripted!.images.map(({ sampleKey }) => sampleKey!.sample),
      ['sample-1', 'sample-3'],
    );
    assert.deepEqual(scripted!.streams[0]!.cancelled, [1]);
    assert.deepEqual(observed.requeued, []);
  });

  test('close rejects waiting requests and ends the streams', async (t) => {
    const [scripted] = await teachers(t, { onImage: () => {} });
    const { teacher, observed } = await student(t, [scripted!, await deadAddress()]);
    const waiting = teacher.request(imageOf(1));
    await eventually(() => scripted!.images.length === 1);
    await Promise.all([
      assert.rejects(waiting, /closed while an image was waiting/),
      teacher.close(),
    ]);
    await assert.rejects(teacher.request(imageOf(2)), /request after close/);
    assert.deepEqual(
      observed.states.slice(-2).map((state) => state.split(' ')[1]),
      ['closed', 'closed'],
    );
  });

  test('no teacher at the start: an error names each address and the cause', async () => {
    const dead = await deadAddress();
    const { options } = studentOptions([dead, 'no-such-host.invalid:1'], {
      teacherTimeoutMs: 3000,
    });
    await assert.rejects(connectTeachers(options), (error: Error) => {
      assert.ok(error instanceof TeacherUnavailableError, String(error));
      assert.match(error.message, /^no teacher answered for 3000 ms: /);
      assert.ok(error.message.includes(`${dead} (UNAVAILABLE: `), error.message);
      assert.ok(error.message.includes('no-such-host.invalid:1 ('), error.message);
      return true;
    });
  });

  test('a process exits by itself once its teacher is closed', async (t) => {
    const [scripted] = await teachers(t, {});
    const file = fileURLToPath(new URL('../support/students/closingStudent.ts', import.meta.url));
    const dns = await DnsServer.start({ 'teachers.example': 'silent' });
    t.after(() => dns.close());
    const name = `dns://${dns.address}/teachers.example:1`;
    const args = ['--import', 'tsx', file, scripted!.address, await deadAddress(), name];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    assert.deepEqual(await once(child, 'exit'), [0, null]);
    assert.equal(scripted!.images.length, 2);
    assert.ok(dns.questions.length > 0, 'no question');
  });
});
