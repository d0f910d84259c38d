/**
 * A student and its teacher over a Unix socket, both processes: what it learns is what it learns over TCP,
 * also where the teacher is killed and comes back at the same path.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { FleetTeacher } from '../support/teachers/fleetTeacher.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { FleetRuns } from '../support/training/fleetRuns.js';

const folder = mkdtempSync(join(tmpdir(), 'cirkd-unix-'));
const socket = join(folder, 'teacher.sock');
let runs: FleetRuns;

before(async () => {
  runs = await FleetRuns.open();
});
afterEach(() => runs.killAll());
after(() => {
  runs.close();
  rmSync(folder, { recursive: true });
});

test('killed with -9 twice and started again at its path: the run ends as over TCP', async () => {
  const teacher = await FleetTeacher.start([], { socket });
  assert.equal(teacher.address, `unix:${socket}`);
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  const student = runs.student('unix', [teacher]);
  for (const step of [4, 14]) {
    await student.did(step);
    await teacher.kill();
    assert.ok(existsSync(socket), 'a killed process leaves its file');
    await teacher.restart();
  }
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('unix');
  assert.ok(student.states(teacher).includes('backoff'), 'it was never missed');
  assert.ok((await teacher.answered()) > 0, 'the last process answered nothing');
  assert.equal(await teacher.terminate(), 0);
  assert.ok(!existsSync(socket), 'a process that ends removes its file');
});

test('a path that a living teacher listens on: exit code 2, and the first goes on', async () => {
  const teacher = await FleetTeacher.start([], { socket });
  const second = new TeacherProcess('--simulate', '--set', `listen.socket=unix:${socket}`);
  assert.equal(await second.exit(), 2, second.stderr);
  assert.match(
    second.stderr,
    /cannot listen on unix:\S+teacher\.sock: another process listens there/,
  );
  assert.equal(second.stdout, '');
  const student = runs.student('beside', [teacher]);
  assert.equal(await student.exit(), 0, student.stderr);
  runs.assertUndisturbed('beside');
});
