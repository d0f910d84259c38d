/**
 * Whether all ranks are there, with the same list in the same order, before TensorFlow's collective runtime is joined.
 * The runtime can't tell: ranks with lists of different lengths or order wait for one another until the time is over.
 *
 * Each rank listens on its own port and calls rank 0, which answers when all have called. Whoever meets a rank with
 * another list refuses it by name, and all end. TensorFlow's server takes the port afterwards.
 */
import { randomUUID } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RankLostError } from '../../../../src/collectives/collective.js';
import { unlessAborted } from '../../../../src/threads/unlessAborted.js';
import { faultOf, isForeign, lost, mismatch, type Place, twoProcesses } from './faults.js';
import { call, closeOf, type Hello, partsOf, readHello, type Reply, send } from './messages.js';

export interface RollCallLimits {
  /** For all ranks to come. A rank that has reached rank 0 waits `timeoutMs` longer for its word. */
  readonly startTimeoutMs: number;
  /** For another process to leave this rank's port, and for the others to come and learn of a fault. */
  readonly timeoutMs: number;
  /** Time in which rank 0's name may still lead to this process, as names are kept for a while. Default: a minute. */
  readonly staleMs?: number;
}

/**
 * Resolves when all ranks are there. Rejects with RankMismatchError, on all ranks that are there, if one has another
 * list, two have the same index or one can't listen on its port; with RankLostError, naming the ranks that didn't come in
 * time; with the signal's reason.
 */
export async function rollCall(
  place: Place,
  limits: RollCallLimits,
  stop?: AbortSignal,
): Promise<void> {
  let rolls: RollCall | undefined;
  try {
    const ended = new Promise<void>((resolve, reject) => {
      rolls = new RollCall(place, limits, { resolve, reject });
    });
    await unlessAborted(ended, stop);
  } finally {
    await rolls?.close();
  }
}

interface Outcome {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Present {
  readonly process: string;
  readonly socket: Socket;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 1000;
/** For what a best effort may take: to ask who has this rank's port, to tell others of a fault, to say goodbye. */
const BRIEFLY_MS = 1000;
const STALE_MS = 60_000;
/** Of what rank 0 says at least every fourth part of. */
const LEAST_SILENCE_MS = 2000;
/** Of setTimeout. */
const MOST_MS = 2 ** 31 - 1;

class RollCall {
  readonly #place: Place;
  readonly #limits: RollCallLimits;
  readonly #outcome: Outcome;
  readonly #process = randomUUID();
  readonly #beginMs = performance.now();
  readonly #closed = new AbortController();
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #timer: NodeJS.Timeout | undefined;
  /** At rank 0: repeats whom it waits for, so that the others notice when it is gone. */
  #repeater: NodeJS.Timeout | undefined;
  /** At rank 0: those that wait for its word. */
  readonly #present = new Map<number, Present>();
  /** At rank 0: processes whose place another one has taken: an earlier start of the rank, unless they come again. */
  readonly #displaced = new Set<string>();
  /** At rank 0: those that know of the fault. */
  readonly #told = new Set<number>();
  #fault: string | null = null;
  /** At the others: whom rank 0 waits for; empty: it wasn't reached. */
  #waitingFor: readonly number[] = [];
  #refusal = '';

  constructor(place: Place, limits: RollCallLimits, outcome: Outcome) {
    this.#place = place;
    this.#limits = limits;
    this.#outcome = outcome;
    this.#limit(limits.startTimeoutMs, () => this.#timeIsUp());
    if (place.index === 0) {
      this.#repeater = setInterval(() => this.#sayWhomItWaitsFor(), this.#silenceMs / 4);
    }
    void this.#begin().catch(outcome.reject);
  }

  /** What was said last is sent before; the port is free afterwards. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    clearInterval(this.#repeater);
    this.#closed.abort();
    const ends = [...this.#sockets].map((socket) => closeOf(socket));
    const server = this.#server;
    const closed = new Promise<void>((resolve) => {
      if (server?.listening === true) server.close(() => resolve());
      else resolve();
    });
    await Promise.race([Promise.all(ends), sleep(BRIEFLY_MS)]);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #limit(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, Math.min(ms, MOST_MS));
  }

  /** Calls rank 0 with its port in hand: a rank that lacks it can't join. */
  async #begin(): Promise<void> {
    if ((await this.#listen()) && this.#place.index > 0) await this.#callFirst();
  }

  /** Waits for a process that has the port: the rank's earlier start, perhaps. False if that ends the roll call. */
  async #listen(): Promise<boolean> {
    const own = this.#address(this.#place.index);
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const error = await this.#tryToListen(partsOf(own).port);
      if (error === null) return true;
      const isOver = performance.now() > this.#beginMs + this.#limits.timeoutMs;
      if (error.code !== 'EADDRINUSE' || isOver) {
        this.#found(`rank ${this.#place.index} (${own}): ${error.message}`);
        return false;
      }
      // It may be another rank, whose list differs.
      const reply = await call(own, this.#hello(), { signal, limitMs: BRIEFLY_MS });
      if (signal.aborted) return false;
      if (reply?.kind === 'fault') {
        this.#refused(reply);
        return false;
      }
      await sleep(FIRST_RETRY_MS);
    }
    return false;
  }

  #tryToListen(port: number): Promise<NodeJS.ErrnoException | null> {
    const server = createServer((socket) => this.#accept(socket));
    return new Promise((resolve) => {
      server.on('error', resolve);
      server.listen(port, () => {
        this.#server = server;
        if (this.#closed.signal.aborted) server.close();
        resolve(null);
      });
    });
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay().setKeepAlive(true);
    socket.on('error', () => {});
    socket.on('close', () => this.#sockets.delete(socket));
    void readHello(socket).then((hello) => {
      if (hello === null) socket.destroy();
      else this.#receive(hello, socket);
    });
  }

  #receive(hello: Hello, socket: Socket): void {
    const { index } = this.#place;
    if (isForeign(this.#place, hello) || this.#isStale(hello)) {
      send(socket, { kind: 'not_first', text: `${this.#address(index)} is another group's` });
      return;
    }
    if (this.#fault !== null) {
      this.#tell(hello.index, socket);
      this.#endIfAllKnow();
      return;
    }
    const fault = hello.fault ?? this.#faultOf(hello);
    if (fault !== null) {
      send(socket, { kind: 'fault', text: fault, isCallers: hello.fault === undefined });
      this.#told.add(hello.index);
      this.#found(fault);
    } else if (index === 0) {
      this.#register(hello, socket);
    } else {
      send(socket, { kind: 'not_first', text: `${this.#address(0)} is rank ${index}'s` });
    }
  }

  #faultOf(hello: Hello): string | null {
    const own = { ...this.#place, process: this.#process };
    const isTwice = this.#displaced.has(hello.process);
    return faultOf(own, hello) ?? (isTwice ? twoProcesses(hello) : null);
  }

  #register({ process, index }: Hello, socket: Socket): void {
    const before = this.#present.get(index);
    if (before !== undefined && before.process !== process) {
      this.#displaced.add(before.process);
      before.socket.destroy();
    }
    const present = { process, socket };
    this.#present.set(index, present);
    socket.on('close', () => {
      if (this.#present.get(index) === present) this.#present.delete(index);
    });
    if (this.#sayWhomItWaitsFor() === 0) this.#outcome.resolve();
  }

  /** Returns how many are missing. */
  #sayWhomItWaitsFor(): number {
    const missing = this.#missing();
    const reply: Reply =
      missing.length > 0 ? { kind: 'waiting', ranks: missing } : { kind: 'join' };
    for (const each of this.#present.values()) send(each.socket, reply);
    return missing.length;
  }

  /** Its own call: it has an address that rank 0 had until lately. */
  #isStale(hello: Hello): boolean {
    const { staleMs = STALE_MS } = this.#limits;
    return hello.process === this.#process && performance.now() < this.#beginMs + staleMs;
  }

  get #silenceMs(): number {
    return Math.max(LEAST_SILENCE_MS, this.#limits.timeoutMs);
  }

  async #callFirst(): Promise<void> {
    const { signal } = this.#closed;
    for (let retryMs = FIRST_RETRY_MS; !signal.aborted; ) {
      const reply = await call(this.#address(0), this.#hello(), {
        ...{ signal, silenceMs: this.#silenceMs },
        waiting: (ranks) => {
          this.#waitFor(ranks);
          retryMs = FIRST_RETRY_MS;
        },
      });
      this.#waitingFor = [];
      if (reply?.kind === 'join') return this.#outcome.resolve();
      if (reply?.kind === 'fault') return this.#refused(reply);
      if (reply?.kind === 'missing') return this.#outcome.reject(this.#lost(reply.text));
      if (reply?.kind === 'not_first') this.#refusal = ` (${reply.text})`;
      await sleep(retryMs);
      retryMs = Math.min(2 * retryMs, LAST_RETRY_MS);
    }
  }

  #waitFor(ranks: readonly number[]): void {
    const { startTimeoutMs, timeoutMs } = this.#limits;
    this.#waitingFor = ranks;
    const latestMs = this.#beginMs + startTimeoutMs + timeoutMs;
    this.#limit(latestMs - performance.now(), () => this.#timeIsUp());
  }

  /** Another rank has found a fault. Where it is in this one, those whom it meets elsewhere must know, too. */
  #refused({ text, isCallers }: Extract<Reply, { kind: 'fault' }>): void {
    if (isCallers) this.#found(text);
    else this.#outcome.reject(mismatch(text));
  }

  /** Ends all: rank 0 tells those that call it; another rank, or one without a port, calls all. */
  #found(fault: string): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    const end = () => this.#outcome.reject(mismatch(fault));
    const { workers, index } = this.#place;
    if (index === 0 && this.#server !== null) {
      this.#limit(this.#limits.timeoutMs, end);
      for (const [rank, { socket }] of this.#present) this.#tell(rank, socket);
      this.#endIfAllKnow();
      return;
    }
    const others = workers.filter((_, rank) => rank !== index);
    const hello = { ...this.#hello(), fault };
    const { signal } = this.#closed;
    const told = others.map((address) => call(address, hello, { signal, limitMs: BRIEFLY_MS }));
    void Promise.allSettled(told).then(end);
  }

  #tell(rank: number, socket: Socket): void {
    send(socket, { kind: 'fault', text: this.#fault!, isCallers: false });
    this.#told.add(rank);
  }

  /** At rank 0, which need not wait for more of them then. */
  #endIfAllKnow(): void {
    const others = [...this.#place.workers.keys()].slice(1);
    if (others.every((rank) => this.#told.has(rank))) {
      this.#outcome.reject(mismatch(this.#fault!));
    }
  }

  #timeIsUp(): void {
    const { index } = this.#place;
    const seconds = `${this.#limits.startTimeoutMs / 1000} s`;
    const named = (ranks: readonly number[]) =>
      ranks.map((rank) => `rank ${rank} (${this.#address(rank)})`).join(', ');
    const waitedFor = index === 0 ? this.#missing() : this.#waitingFor;
    const ranks = waitedFor.length > 0 ? waitedFor : [0];
    const text = `lost ${named(ranks)}: not there within ${seconds}${this.#refusal}`;
    for (const { socket } of this.#present.values()) send(socket, { kind: 'missing', text });
    this.#outcome.reject(this.#lost(text));
  }

  #lost(text: string): RankLostError {
    return lost(this.#place, text);
  }

  #missing(): number[] {
    return [...this.#place.workers.keys()].filter((rank) => rank > 0 && !this.#present.has(rank));
  }

  #address(rank: number): string {
    return this.#place.workers[rank]!;
  }

  #hello(): Hello {
    const { workers, index } = this.#place;
    return { cirkd: 'roll call', process: this.#process, workers: [...workers], index };
  }
}
