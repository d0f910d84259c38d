/** Entry of the thread of taskService.ts. */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { serveCalls } from '../../../src/threads/serveCalls.js';
import { TASKS, TaskError, UnlistedError } from './taskService.js';

serveCalls(TASKS, {
  turn: (bytes) => bytes.reverse(),
  pause: (ms) => sleep(ms, ms),
  fail(kind) {
    if (kind === 'listed') throw new TaskError('beyond 7', 7);
    if (kind === 'unlisted') throw new UnlistedError('not in the list');
    if (kind === 'system') readFileSync('no-such-file');
    throw 'a text';
  },
  each: () => ['first', new TaskError('beyond 8', 8), 'third'],
  unclonable: () => () => {},
  block(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
  exit: (code) => process.exit(code),
  dieOf(message) {
    setImmediate(() => {
      throw Object.assign(new TypeError(message), { code: 'E_DEAD' });
    });
    return new Promise(() => {});
  },
  niceness: () => getPriority(),
});
