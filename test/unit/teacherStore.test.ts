/** Which teachers a student's store of answers is put in front of. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Reporting } from '../../services/student/reporting.js';
import { withStore } from '../../services/student/teacher/teacherStore.js';
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { OipSettings } from '../../src/oip/client/settings.js';
import { CountedAnswers } from '../support/answers/countedAnswers.js';
import { oipServer, oipStudent } from '../support/oip/oipStudent.js';
import { imageOf } from '../support/students/scriptedStudent.js';

test('answers under a derived digest are not stored; under a vouched one they are', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'cirkd-teacher-store-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const counts = new CountedAnswers();
  const config = {
    teacher: { store: { directory, maxMiB: 64 } },
    train: { accumulateSteps: 1 },
  } as unknown as StudentConfig;
  const reporting = {
    metrics: { store: counts.hooks },
    answeredFromStore() {},
  } as unknown as Reporting;
  const server = await oipServer(t);
  const stored = async (settings: Partial<OipSettings>) => {
    const { teacher } = await oipStudent(t, [server], settings);
    return withStore(teacher, teacher, config, reporting);
  };
  await assert.rejects(stored({}), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(
      error.message,
      /teacher\.store\.directory: .*oip:sha256:.*set teacher\.oip\.digest .*cirkd\.digest/,
    );
    return true;
  });
  assert.deepEqual(readdirSync(directory), []);
  const teacher = await stored({ digest: `sha256:${'d'.repeat(64)}` });
  await teacher.request(imageOf(1));
  const again = await teacher.request(imageOf(1));
  assert.deepEqual([counts.misses, counts.hits.disk, counts.corrupted], [1, 1, 0]);
  assert.equal(again.logits?.dtype, 'fp32');
  await teacher.close();
});
