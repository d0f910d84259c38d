/**
 * Who asks: one client per connection, or per run that the calls of a connection name. Each takes turns
 * with the students' runs, and has its own share of the memory for answers.
 */
import type { Metadata } from '@grpc/grpc-js';
import { type AnswerBudget, AnswerRoom } from '../../stream/server/answerRoom.js';
import { isRunId } from '../../stream/server/hello.js';
import { invalidArgument, quoted } from './modelErrors.js';

/** Optional metadata of a call. Behind a proxy many clients share a connection: it tells them apart. */
export const RUN_HEADER = 'cirkd-run';

export interface Client {
  /** The name that takes turns: the run's, or the connection's address, which no run can have. */
  readonly run: string;
  readonly room: AnswerRoom;
}

export class Clients {
  readonly #answers: AnswerBudget;
  readonly #clients = new Map<string, Client & { users: number }>();

  constructor(answers: AnswerBudget) {
    this.#answers = answers;
  }

  /** Takes the client of a call into use. Throws INVALID_ARGUMENT for a run that has no valid name. */
  acquire(call: { getPeer(): string; readonly metadata: Metadata }): Client {
    const peer = call.getPeer();
    const run = String(call.metadata.get(RUN_HEADER)[0] ?? '');
    if (run !== '' && !isRunId(run)) {
      throw invalidArgument(
        `${RUN_HEADER}: ${quoted(run)} given, wanted 1 to 128 of A-Z a-z 0-9 . _ -`,
      );
    }
    const key = `${peer} ${run}`;
    const client = this.#clients.get(key) ?? {
      run: run === '' ? peer : run,
      room: new AnswerRoom(this.#answers),
      users: 0,
    };
    client.users += 1;
    this.#clients.set(key, client);
    return client;
  }

  /** Call once per `acquire`, when nothing of the call holds memory any more. */
  release(client: Client): void {
    for (const [key, one] of this.#clients) {
      if (one !== client) continue;
      one.users -= 1;
      if (one.users === 0) this.#clients.delete(key);
      return;
    }
  }
}
