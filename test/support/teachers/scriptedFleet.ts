/** Scripted teachers and a client of theirs, for the length of a test. */
import type { TestContext } from 'node:test';
import type { ClientOptions } from '../../../src/stream/client/options.js';
import { connectTeachers } from '../../../src/stream/client/remoteTeacher.js';
import { studentOptions } from '../students/scriptedStudent.js';
import { CHANNELS, CLASSES, type Script, ScriptedTeacher } from './scriptedTeacher.js';

/** Bytes of the answer to imageOf(): 3x3 positions. */
export const REPLY_BYTES = 9 * 4 * (CLASSES + CHANNELS + 1);

export async function teachers(t: TestContext, ...scripts: Script[]): Promise<ScriptedTeacher[]> {
  const all = await Promise.all(scripts.map((script) => ScriptedTeacher.start(script)));
  t.after(() => {
    for (const teacher of all) teacher.stop();
  });
  return all;
}

export async function student(
  t: TestContext,
  all: readonly (ScriptedTeacher | string)[],
  changes: Partial<ClientOptions> = {},
) {
  const addresses = all.map((one) => (typeof one === 'string' ? one : one.address));
  const { options, observed } = studentOptions(addresses, changes);
  const teacher = await connectTeachers(options);
  t.after(() => teacher.close());
  return { teacher, observed };
}

/** An address at which nothing listens. */
export async function deadAddress(): Promise<string> {
  const teacher = await ScriptedTeacher.start();
  teacher.stop();
  return teacher.address;
}
