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
  readonly peer: string;
  readonly room: AnswerRoom;
  /** In use, by run; the connection's own is ''. */
  readonly clients: Map<string, CountedClient>;
}

class CountedClient implements Client {
  readonly run: string;
  readonly connection: Connection;
  /** Its name among the connection's clients. */
  readonly named: string;
  users = 0;

  constructor(connection: Connection, named: string) {
    this.connection = connection;
    this.named = named;
    this.run = named === '' ? connection.peer : named;
  }

  get room(): AnswerRoom {
    return this.connection.room;
  }
}

export class Clients {
  readonly #answers: AnswerBudget;
  /** Those with a call, or with images in the network from calls that have ended; by address. */
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
    const connection = this.#connections.get(peer) ?? this.#newConnection(peer);
    const { clients } = connection;
    const runs = clients.size - (clients.has('') ? 1 : 0);
    const run = clients.has(named) || runs < MAX_CONNECTION_RUNS ? named : '';
    let client = clients.get(run);
    if (client === undefined) {
      client = new CountedClient(connection, run);
      clients.set(run, client);
    }
    client.users += 1;
    return client;
  }

  /**
   * Call once per `acquire`, when the call has ended. Cancelled images that the network computes still hold the
   * connection's room: it stays the connection's until they have returned, or calls that are cancelled one after
   * the other would get a new room each time.
   */
  release(client: Client): void {
    const counted = client as CountedClient;
    const { connection } = counted;
    counted.users -= 1;
    if (counted.users > 0) return;
    connection.clients.delete(counted.named);
    this.#forgetIfUnused(connection);
  }

  #newConnection(peer: string): Connection {
    const room = new AnswerRoom(this.#answers, () => this.#forgetIfUnused(connection));
    const connection: Connection = { peer, room, clients: new Map() };
    this.#connections.set(peer, connection);
    return connection;
  }

  #forgetIfUnused({ peer, room, clients }: Connection): void {
    if (clients.size === 0 && room.heldBytes === 0) this.#connections.delete(peer);
  }
}
