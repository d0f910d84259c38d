/** Who asks for inferences: turns by run, memory for answers by connection. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { Metadata } from '@grpc/grpc-js';
import { Clients } from '../../src/oip/server/clients.js';
import { GrpcStatus } from '../../src/rpc/errors.js';
import { AnswerBudget } from '../../src/stream/server/answerRoom.js';
import { inferRequest, OipPeer } from '../support/oip/oipPeer.js';
import { startOipServer } from '../support/oip/oipServer.js';
import { GatedEngine } from '../support/teachers/gatedEngine.js';
import { closeTestServers } from '../support/teachers/teacherServer.js';

afterEach(async () => {
  OipPeer.closeAll();
  await closeTestServers();
});

function callOf(peer: string, run: string) {
  const metadata = new Metadata();
  if (run !== '') metadata.set('cirkd-run', run);
  return { getPeer: () => peer, metadata };
}

test('a connection that names many runs gets no more memory, and 16 turns beside its own', () => {
  let held = 0;
  const clients = new Clients(new AnswerBudget(1000, (bytes) => (held = bytes)));
  const named = Array.from({ length: 50 }, (_, i) => clients.acquire(callOf('a:1', `run-${i}`)));
  for (const { room } of named) if (room.fits(400)) room.hold(400);
  assert.equal(held, 400);
  assert.equal(new Set(named.map(({ run }) => run)).size, 17);
  assert.equal(named.at(-1)!.run, 'a:1');
  // Names that are in use already stay; another connection has its own memory and names.
  assert.equal(clients.acquire(callOf('a:1', 'run-3')), named[3]);
  const other = clients.acquire(callOf('b:2', 'run-40'));
  assert.equal(other.run, 'run-40');
  assert.ok(other.room.fits(300));
  // Names that are free again are taken by others.
  clients.release(named[3]!);
  clients.release(named[3]!);
  assert.equal(clients.acquire(callOf('a:1', 'later')).run, 'later');
});

test('a connection whose call has ended keeps its room until its images have returned', () => {
  const clients = new Clients(new AnswerBudget(1000, () => {}));
  const first = clients.acquire(callOf('a:1', ''));
  first.room.hold(600);
  // Cancelled while the network computes it.
  clients.release(first);
  const second = clients.acquire(callOf('a:1', ''));
  assert.equal(second.room, first.room);
  assert.ok(!second.room.fits(300), 'the connection got a second room');
  clients.release(second);
  first.room.release(600);
  // Nothing is remembered of it then.
  assert.notEqual(clients.acquire(callOf('a:1', '')).room, first.room);
});

test('an answer that is larger than all memory for answers is refused', async () => {
  const { port } = await startOipServer(new GatedEngine(true), {
    limits: { maxAnswerBytes: 3 * 72 - 1 },
  });
  const peer = new OipPeer(port);
  const answer = await peer.infer(
    inferRequest({ shades: [1, 2, 3], outputs: ['logits'], id: '7' }),
  );
  assert.ok(answer instanceof Error, 'it was accepted');
  assert.equal(answer.code, GrpcStatus.INVALID_ARGUMENT);
  assert.equal(
    answer.details,
    '[request id: 7] the answer would take 216 bytes, wanted at most 215 (limits.maxAnswerMiB): ask for fewer images or outputs',
  );
  assert.ok(
    !((await peer.infer(inferRequest({ shades: [1], outputs: ['logits'] }))) instanceof Error),
  );
});
