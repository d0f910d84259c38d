/**
 * What the main thread learns of the other ranks while its computing thread is in a collective or has nothing to do: see
 * src/tensor/native/attendance.cc.
 */
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { RankLostError } from '../../../src/collectives/collective.js';
import { lostText } from '../../../src/collectives/lostText.js';
import { StopAgreedError } from '../../../src/train/loop.js';

export interface NewsPlace {
  readonly rank: number;
  /** host:port of every rank, in order. */
  readonly addresses: readonly string[];
}

export class GroupNews {
  readonly #stream: Duplex;
  readonly #place: NewsPlace;
  readonly #over = new AbortController();
  #onWaits: (seconds: readonly number[]) => void = () => {};
  #onStop: (peer: number) => void = () => {};

  /** @param descriptor of a socket; -1: there will be no news */
  static open(descriptor: number, place: NewsPlace): GroupNews | null {
    if (descriptor < 0) return null;
    const socket = new Socket({ fd: descriptor, readable: true, writable: true });
    // It is no reason for this process to go on.
    socket.unref();
    return new GroupNews(socket, place);
  }

  constructor(stream: Duplex, place: NewsPlace) {
    this.#stream = stream;
    this.#place = place;
    // Without news the collectives themselves still end with the group.
    stream.on('error', () => {});
    const lines = createInterface({ input: stream });
    // It emits its stream's errors again.
    lines.on('error', () => {});
    lines.on('line', (line) => this.#read(line));
  }

  /**
   * Aborted when no step is possible any more: with RankLostError if another rank is lost, with StopAgreedError if it
   * has been asked to stop.
   */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** @param onWaits told again and again for how long each rank has been in its collective, s; 0: it is in none */
  report(onWaits: (seconds: readonly number[]) => void, onStop: (peer: number) => void): void {
    this.#onWaits = onWaits;
    this.#onStop = onStop;
  }

  /** Makes the other ranks stop when the signal is aborted, also those that wait for teachers or data. */
  passOn(stop: AbortSignal): void {
    const tell = () => void this.#stream.write('stop\n');
    if (stop.aborted) tell();
    else stop.addEventListener('abort', tell, { once: true });
  }

  close(): void {
    this.#stream.destroy();
  }

  #read(line: string): void {
    const [kind, ...words] = line.split(' ');
    const peer = Number(words[0]);
    if (kind === 'waits') this.#onWaits(words.map(Number));
    if (kind === 'stops') {
      if (!this.#over.signal.aborted) this.#onStop(peer);
      this.#over.abort(new StopAgreedError());
    }
    if (kind === 'lost') this.#over.abort(this.#lost(peer, words.slice(1).join(' ')));
  }

  #lost(peer: number, reason: string): RankLostError {
    const { rank, addresses } = this.#place;
    const lost = lostText({ rank: peer, reason }, addresses);
    return new RankLostError(`rank ${rank} of ${addresses.length}: lost ${lost}`);
  }
}
