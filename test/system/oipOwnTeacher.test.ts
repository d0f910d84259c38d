/**
 * A student of our own teacher over the Open Inference Protocol needs no configuration, and ends with the
 * weights of a run over the Distill stream, bit for bit: over one stream and over a call for each image.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { FleetRuns } from '../support/training/fleetRuns.js';
import { tinyTeacher } from '../support/training/tinyRun.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-oip-own-'));
let teacher: TeacherProcess;
let address: string;
let runs: FleetRuns;

before(async () => {
  teacher = new TeacherProcess('--checkpoint', tinyTeacher(folder));
  await teacher.ready();
  address = `127.0.0.1:${(await teacher.listening()).grpcPort}`;
  runs = await FleetRuns.openWith({ address });
});
afterEach(() => runs?.killAll());
after(() => {
  runs?.close();
  teacher?.kill();
  rmSync(folder, { recursive: true });
});

for (const stream of ['auto', 'never']) {
  test(`teacher.oip.stream: ${stream}`, async () => {
    const settings = [`teacher.oip.stream=${stream}`, 'teacher.maxInflightMiB=1'];
    const student = runs.student(stream, [{ address: `oip://${address}/cirkd` }], ...settings);
    assert.equal(await student.exit(), 0, student.stderr);
    assert.deepEqual(student.requeued(), []);
    runs.assertUndisturbed(stream);
  });
}
