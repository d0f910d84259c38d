import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pause, TeacherHealth } from '../../src/stream/client/health.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { studentOptions } from '../support/students/scriptedStudent.js';

const policy = (jitter: number) => ({
  firstBackoffMs: 100,
  maxBackoffMs: 1000,
  breakerFailures: 3,
  firstInflightImagesPerTeacher: 8,
  maxInflightImagesPerTeacher: 8,
  jitter: () => jitter,
});

test('the back-off doubles up to its limit, is spread over its upper half, and is reset by a success', () => {
  for (const [jitter, wanted] of [
    [0, [50, 100, 200, 400, 500, 500]],
    [0.5, [75, 150, 300, 600, 750, 750]],
  ] as const) {
    const health = new TeacherHealth(policy(jitter));
    assert.deepEqual(
      wanted.map(() => health.failed()),
      wanted,
    );
    health.succeeded();
    assert.equal(health.failed(), wanted[0]);
    assert.equal(health.refused(), wanted[5]);
  }
});

test('repeated failures mark a teacher as sick; it gets one image at a time until the next success', () => {
  const health = new TeacherHealth(policy(0));
  const states = [];
  for (const fails of [true, true, false, true, true, true]) {
    if (fails) health.failed();
    else health.succeeded();
    states.push(`${health.windowImages} ${health.sick}`);
  }
  const doubtful = '1 false';
  assert.deepEqual(states, [doubtful, doubtful, '8 false', doubtful, doubtful, '1 true']);
});

test('a time-out halves the window, other failures do not; answers restore it image by image', () => {
  const health = new TeacherHealth(policy(0));
  health.failed();
  health.succeeded();
  assert.equal(health.windowImages, 8);
  const windows: number[] = [];
  for (let i = 0; i < 4; i++) {
    health.timedOut();
    assert.equal(health.windowImages, 1);
    health.succeeded();
    windows.push(health.windowImages);
  }
  assert.deepEqual(windows, [4, 2, 2, 2]);
  let answers = 0;
  for (; health.windowImages < 8; answers++) health.succeeded();
  // 2 + 3 + ... + 7, about one window of answers for each image more.
  assert.ok(answers >= 20 && answers <= 35, `${answers} answers`);
  health.succeeded();
  assert.equal(health.windowImages, 8);
});

test('a new teacher gets two images and one more with each answer, until a time-out', () => {
  const health = new TeacherHealth({ ...policy(0), firstInflightImagesPerTeacher: 2 });
  const windows = Array.from({ length: 8 }, () => {
    const { windowImages } = health;
    health.succeeded();
    return windowImages;
  });
  assert.deepEqual(windows, [2, 3, 4, 5, 6, 7, 8, 8]);
  health.timedOut();
  health.succeeded();
  health.succeeded();
  assert.equal(health.windowImages, 4);
});

test('a pause ends by itself or by a success; a new one replaces it', async () => {
  const pause = new Pause();
  let over = 0;
  pause.begin(60_000, () => assert.fail('replaced'));
  await new Promise<void>((resolve) => {
    pause.begin(1, () => {
      over++;
      resolve();
    });
    assert.equal(pause.isOn, true);
  });
  assert.equal(pause.isOn, false);
  pause.begin(60_000, () => assert.fail('ended by a success'));
  pause.end();
  assert.equal(pause.isOn, false);
  assert.equal(over, 1);
});

test('options out of range are refused by name', async () => {
  await assert.rejects(connectTeachers(studentOptions([]).options), {
    name: 'RangeError',
    message: 'addresses: none given, wanted at least one',
  });
  const { options } = studentOptions(['127.0.0.1:1'], { requestTimeoutMs: 0 });
  await assert.rejects(connectTeachers(options), {
    name: 'RangeError',
    message: 'requestTimeoutMs: 0 given, wanted more than 0',
  });
});
