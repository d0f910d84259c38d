/** What a rank's main thread makes of the news of the others, and whom it calls awaited. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { AwaitedLog, awaitedSeconds } from '../../services/student/group/awaited.js';
import { GroupNews } from '../../services/student/group/groupNews.js';
import { setUpTogether } from '../../services/student/group/groupStart.js';
import type { ComputeClient, ComputeSetup } from '../../services/student/computeProtocol.js';
import { RankLostError } from '../../src/collectives/collective.js';
import { lengthFrom, lengthWords } from '../../src/collectives/words.js';
import { StopAgreedError } from '../../src/train/loop.js';

class PlayedSocket extends Duplex {
  written = '';

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.written += chunk.toString();
    done();
  }
}

function opened() {
  const socket = new PlayedSocket();
  const news = new GroupNews(socket, { rank: 0, addresses: ['a:1', 'b:2', 'c:3'] });
  return { socket, news };
}

test('a lost rank is named, with its address; what follows changes nothing', async () => {
  const { socket, news } = opened();
  socket.push('lost 2 failed to connect Additional GRPC error information: x\nstops 1\n');
  await turn();
  const { reason } = news.over;
  assert.ok(reason instanceof RankLostError, String(reason));
  assert.equal(reason.message, 'rank 0 of 3: lost rank 2 (c:3): failed to connect');
});

test('another rank that stops: the wait ends, and it is told once', async () => {
  const { socket, news } = opened();
  const stopped: number[] = [];
  news.report(
    () => {},
    (peer) => stopped.push(peer),
  );
  socket.push('stops 1\nstops 2\n');
  await turn();
  assert.ok(news.over.reason instanceof StopAgreedError, String(news.over.reason));
  assert.deepEqual(stopped, [1]);
});

test('waits are told as they come, in pieces, too; a stop is passed on', async () => {
  const { socket, news } = opened();
  const told: (readonly number[])[] = [];
  news.report(
    (seconds) => told.push(seconds),
    () => {},
  );
  socket.push('waits 0.000 1.5');
  socket.push('00 2.000\nwaits 0.000 0.000 0.000\n');
  await turn();
  assert.deepEqual(told, [
    [0, 1.5, 2],
    [0, 0, 0],
  ]);
  assert.equal(news.over.aborted, false);
  const stop = new AbortController();
  news.passOn(stop.signal);
  assert.equal(socket.written, '');
  stop.abort();
  assert.equal(socket.written, 'stop\n');
});

test('the awaited are those in no exchange while another is in one', () => {
  assert.deepEqual(awaitedSeconds([5, 0, 2]), [0, 5, 0]);
  assert.deepEqual(awaitedSeconds([0, 0, 3, 0]), [3, 3, 0, 3]);
  assert.deepEqual(awaitedSeconds([0, 0]), [0, 0], 'all wait for teachers');
  assert.deepEqual(awaitedSeconds([1, 2]), [0, 0], 'all have come');
});

test('a wait is written after a while, then each time it has doubled, and when it is over', () => {
  const lines: string[] = [];
  const write = (level: string) => (fields: object, text: string) => {
    const { peer, address, seconds } = fields as Record<string, unknown>;
    lines.push(`${level} ${peer} ${address} ${seconds} ${text}`);
  };
  const log = { warn: write('warn'), info: write('info') } as never;
  const awaited = new AwaitedLog(5, ['a:1', 'b:2'], log);
  for (const seconds of [2, 4.5, 6, 8, 11, 13, 19, 23, 1, 3, 0, 6, 2]) awaited.take([0, seconds]);
  assert.deepEqual(lines, [
    'warn 1 b:2 6 a rank keeps the others waiting',
    'warn 1 b:2 13 a rank keeps the others waiting',
    'info 1 b:2 23 the awaited rank has come',
    'warn 1 b:2 6 a rank keeps the others waiting',
    'info 1 b:2 6 the awaited rank has come',
  ]);
});

/** The computing thread's calls, in order. */
function played(stopsInSetup: () => void) {
  const calls: string[] = [];
  const call =
    (name: string, work = () => {}) =>
    async () => {
      calls.push(name);
      work();
    };
  const compute = {
    setup: call('setup', stopsInSetup),
    stopStart: call('stopStart'),
    endTraining: call('endTraining'),
    leave: call('leave'),
  };
  return { calls, compute: compute as unknown as ComputeClient };
}

for (const { when, inPrepare, inSetup, calls: wanted } of [
  { when: 'before setup', inPrepare: true, inSetup: false, calls: ['stopStart'] },
  { when: 'in setup', inPrepare: false, inSetup: true, calls: ['setup', 'endTraining', 'leave'] },
]) {
  test(`a stop ${when}: this rank makes the exchanges that the others make`, async () => {
    const { news } = opened();
    const stop = new AbortController();
    const { calls, compute } = played(() => inSetup && stop.abort());
    const prepare = async () => {
      if (inPrepare) stop.abort();
      return { setup: {} as ComputeSetup };
    };
    const start = setUpTogether(compute, news, stop.signal, prepare);
    await assert.rejects(start, (error) => error === stop.signal.reason);
    assert.deepEqual(calls, wanted);
  });
}

test('a rank lost before setup: no exchange is tried', async () => {
  const { socket, news } = opened();
  const { calls, compute } = played(() => {});
  const start = setUpTogether(compute, news, news.over, async () => {
    socket.push('lost 1 gone\n');
    await turn();
    return { setup: {} as ComputeSetup };
  });
  await assert.rejects(start, /lost rank 1 \(b:2\): gone/);
  assert.deepEqual(calls, []);
});

test('lengths beyond 2 and 4 GiB keep their value in two words of 32 bits', () => {
  for (const length of [0, 1, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 3_221_225_477, 2 ** 33 + 5]) {
    const words = Int32Array.from(lengthWords(length));
    assert.equal(lengthFrom(words), length);
    assert.equal(lengthFrom([...words, 7, 0]), length, 'those of other ranks follow');
  }
});
