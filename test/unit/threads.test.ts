// @own-process: ends threads in every way there is
/** Calls of a thread: answers, errors as themselves, and one behaviour however it ends. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startThread } from '../../src/threads/startThread.js';
import {
  ThreadCalls,
  ThreadEndedError,
  type ThreadOptions,
} from '../../src/threads/threadCalls.js';
import { unlessAborted } from '../../src/threads/unlessAborted.js';
import { TASKS, type TaskCalls, TaskError } from '../support/threads/taskService.js';

const threads: ThreadCalls<TaskCalls>[] = [];
afterEach(() => Promise.all(threads.splice(0).map((thread) => thread.terminate())));

function start(options: ThreadOptions<TaskCalls> = {}): ThreadCalls<TaskCalls> {
  const worker = startThread(import.meta.url, '../support/threads/taskThread.ts', null);
  const thread = new ThreadCalls(worker, TASKS, options);
  threads.push(thread);
  return thread;
}

async function thrownBy(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Error, `came: ${error}`);
    return error as Error & Record<string, unknown>;
  }
  return assert.fail('nothing was thrown');
}

test('buffers move there and back', async () => {
  const { call } = start();
  const bytes = Uint8Array.of(1, 2, 3);
  const answer = call.turn(bytes);
  assert.equal(bytes.byteLength, 0);
  assert.deepEqual(await answer, Uint8Array.of(3, 2, 1));
});

test('calls run one after the other, in order', async () => {
  const { call } = start();
  const done: number[] = [];
  await Promise.all([30, 1, 10].map((ms) => call.pause(ms).then((each) => done.push(each))));
  assert.deepEqual(done, [30, 1, 10]);
});

test('an error of a call comes back with its class, and the next call is answered', async () => {
  const { call } = start();
  const listed = await thrownBy(call.fail('listed'));
  assert.ok(listed instanceof TaskError && listed instanceof RangeError, listed.name);
  assert.equal(listed.limit, 7);
  assert.equal(`${listed}`, 'TaskError: beyond 7');
  assert.match(listed.stack ?? '', /taskThread/);
  assert.ok(listed.cause instanceof TypeError, `cause: ${listed.cause}`);
  assert.equal(listed.cause.message, 'no number');

  const unlisted = await thrownBy(call.fail('unlisted'));
  assert.deepEqual(
    [unlisted.constructor, unlisted.name, unlisted['code'], unlisted['handler']],
    [Error, 'UnlistedError', 'E_UNLISTED', undefined],
  );
  const system = await thrownBy(call.fail('system'));
  assert.deepEqual([system['code'], system['path']], ['ENOENT', 'no-such-file']);
  assert.equal((await thrownBy(call.fail('text'))).message, 'a text');
  assert.equal((await thrownBy(call.unclonable())).name, 'DataCloneError');
  assert.equal(await call.pause(0), 0);
});

test('errors in a list of results come back with their classes, in their places', async () => {
  const [first, second, third] = await start().call.each();
  assert.deepEqual([first, third], ['first', 'third']);
  assert.ok(second instanceof TaskError, `second: ${second}`);
  assert.equal(second.limit, 8);
});

test('arguments that cannot be transferred reject that call alone', async () => {
  const { call } = start();
  const unsendable = (() => {}) as unknown as number;
  assert.equal((await thrownBy(call.pause(unsendable))).name, 'DataCloneError');
  assert.equal(await call.pause(0), 0);
});

test('a thread that ends rejects waiting and later calls, and reports it', async () => {
  const thread = start();
  const waiting = [thread.call.exit(3), thread.call.pause(0)].map(thrownBy);
  const died = await thread.died;
  assert.ok(died instanceof ThreadEndedError, died.name);
  assert.equal(died.message, 'the task thread ended with code 3');
  assert.deepEqual(await Promise.all([...waiting, thrownBy(thread.call.pause(0))]), [
    ...[died, died, died],
  ]);
});

test("an uncaught error is reported as the cause of the thread's end", async () => {
  const wrapped = new Error('wrapped');
  const { call, died } = start();
  const other = start({ deathError: () => wrapped });
  const error = await thrownBy(call.dieOf('of this'));
  assert.deepEqual(
    [error.constructor, error.message, error['code']],
    [TypeError, 'of this', 'E_DEAD'],
  );
  assert.equal(await died, error);
  assert.equal(await thrownBy(other.call.dieOf('of that')), wrapped);
});

test('a call past its deadline makes the thread fail, and it can still be ended', async () => {
  const thread = start({ deadlines: { block: { ms: 100, work: 'a task' } } });
  await thread.call.pause(0);
  await thread.call.block(0);
  const error = await thrownBy(thread.call.block(3_600_000));
  assert.equal(error.message, 'a task has been in the task thread for 0.1 s: it hangs');
  assert.equal(await thread.died, error);
  await thread.terminate(60_000);
});

test('finish() lets the running call end and drops the others', async () => {
  const thread = start();
  await thread.call.pause(0);
  const running = thrownBy(thread.call.pause(50));
  await thread.finish(60_000);
  assert.equal((await running).message, 'the task thread is closed');
  assert.equal((await thrownBy(thread.call.pause(0))).message, 'the task thread is closed');
  const hasDied = await Promise.race([thread.died, sleep(1, 'alive')]);
  assert.equal(hasDied, 'alive', 'it ended because it was told to');
});

test('finish() terminates a call that takes too long', async () => {
  const thread = start();
  await thread.call.pause(0);
  const running = thrownBy(thread.call.pause(3_600_000));
  await thread.finish(500);
  assert.equal((await running).message, 'the task thread is closed');
});

test('the thread runs at a lower priority than the one that started it', async () => {
  if (process.platform !== 'linux') return;
  assert.equal(await start().call.niceness(), 10);
});

test("a wait ends with its signal, and otherwise with the promise's result", async () => {
  const stop = new AbortController();
  const waiting = thrownBy(unlessAborted(new Promise(() => {}), stop.signal));
  assert.equal(await unlessAborted(Promise.resolve(3), stop.signal), 3);
  const reason = new Error('stop');
  stop.abort(reason);
  assert.equal(await waiting, reason);
  assert.equal(await thrownBy(unlessAborted(Promise.resolve(3), stop.signal)), reason);
});
