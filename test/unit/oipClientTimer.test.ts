// @own-process: counts the process's timers.
/** A student that stops while a model is tried. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OipProtocol } from '../../src/oip/client/oipConversation.js';
import { NO_OIP_SETTINGS } from '../../src/oip/client/settings.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { PIXELS } from '../support/oip/oipStudent.js';
import { scriptedModel } from '../support/oip/scriptedModel.js';
import { ScriptedOipServer } from '../support/oip/scriptedOipServer.js';
import { studentOptions } from '../support/students/scriptedStudent.js';

test('a student that stops during the trial leaves no timer behind', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  let isTried = () => {};
  const tried = new Promise<void>((resolve) => {
    isTried = resolve;
  });
  const model = scriptedModel({});
  const silent = await ScriptedOipServer.start({
    ...model,
    answer() {
      isTried();
      return new Promise(() => {});
    },
  });
  t.after(() => silent.stop());
  const before = timers();
  const protocol = new OipProtocol({
    settings: { ...NO_OIP_SETTINGS, normalisation: PIXELS },
    trialSize: { height: 16, width: 32 },
  });
  const stop = new AbortController();
  const { options } = studentOptions([silent.address]);
  const settings = { ...options, requestTimeoutMs: 60_000, teacherTimeoutMs: 120_000 };
  const connecting = connectTeachers(settings, stop.signal, [protocol]);
  await tried;
  stop.abort(new Error('stopped'));
  await assert.rejects(connecting, /stopped/);
  await protocol.close();
  silent.stop();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(timers() <= before, `${timers()} timers, ${before} before`);
});
