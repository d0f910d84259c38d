/**
 * Who asks: one client per connection, or per run that the calls of a connection name. Each takes turns
 * with the students' runs. The memory for answers is shared out by connection: names cost nothing, so
 * they give no memory.
 */
import type { Metadata } from '@grpc/grpc-js';
import { type AnswerBudget, AnswerRoom } from '../../stream/server/answerRoom.js';
import { isRunId } from '../../stream/server/hello.js';
import { invalidArgument, quoted } from './modelErrors.js';

/** Optional metadata of a call. Behind a proxy many clients share a connection: it tells them apart. */
export const RUN_HEADER = 'cirkd-run';

/** Runs that one connection may name at a time; calls that name more take turns as the connection. */
const MAX_CONNECTION_RUNS = 16;

export interface Client {
  /** The name that takes turns: the run's, or the connection's address, which no run can have. */
  readonly run: string;
  /** The connection's. */
  readonly room: AnswerRoom;
}

interface Connection {
  readonly room: AnswerRoom;
  /** In use, by run; the connection's own is ''. */
  readonly clients: Map<string, Client & { users: number }>;
}

export class Clients {
  readonly #answers: AnswerBudget;
  /** Those with a call, by address. */
  readonly #connections = new Map<string, Connection>();

  constructor(answers: AnswerBudget) {
    this.#answers = answers;
  }

  /** Takes the client of a call into use. Throws INVALID_ARGUMENT for a run that has no valid name. */
  acquire(call: { getPeer(): string; readonly metadata: Metadata }): Client {
    const peer = call.getPeer();
    const named = String(call.metadata.get(RUN_HEADER)[0] ?? '');
    if (named !== '' && !isRunId(named)) {
      throw invalidArgument(
        `${RUN_HEADER}: ${quoted(named)} given, wanted 1 to 128 of A-Z a-z 0-9 . _ -`,
      );
    }
    const connection = this.#connections.get(peer) ?? {
      room: new AnswerRoom(this.#answers),
      clients: new Map(),
    };
    this.#connections.set(peer, connection);
    const { room, clients } = connection;
    const runs = clients.size - (clients.has('') ? 1 : 0);
    const run = clients.has(named) || runs < MAX_CONNECTION_RUNS ? named : '';
    const client = clients.get(run) ?? { run: run === '' ? peer : run, room, users: 0 };
    client.users += 1;
    clients.set(run, client);
    return client;
  }

  /** Call once per `acquire`, when nothing of the call holds memory any more. */
  release(client: Client): void {
    for (const [peer, { room, clients }] of this.#connections) {
      if (room !== client.room) continue;
      for (const [run, one] of clients) {
        if (one !== client) continue;
        one.users -= 1;
        if (one.users === 0) clients.delete(run);
      }
      if (clients.size === 0) this.#connections.delete(peer);
      return;
    }
  }
}
