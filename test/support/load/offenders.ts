/** Clients that a teacher has to bear; each goes on until it is told to stop. */
import { setTimeout } from 'node:timers/promises';
import { DistillPeer, image } from '../students/distillPeer.js';

const LARGE = [512, 1024] as const;
const SMALL = [64, 64] as const;
/** More than a stream may have unanswered. */
const BURST = 20;
const PAUSE_MS = 50;
const DRIP_MS = 200;

export type Offender = (port: number, signal: AbortSignal) => Promise<OffenderResult>;

export interface OffenderResult {
  /** How its streams ended, by gRPC code. */
  readonly ends: Record<number, number>;
  /** Images that it was told to be refused. */
  readonly refused: number;
}

/** Grants all the credit there is, asks on and on, and doesn't read. */
const neverReads: Offender = (port, signal) =>
  again(port, signal, async (peer) => {
    await peer.greet({ runId: 'never-reads' });
    peer.pauseReading();
    await askOn(peer, signal);
  });

/** Reads, and asks on and on, but grants no credit for answers. */
const grantsNothing: Offender = (port, signal) =>
  again(port, signal, async (peer) => {
    await peer.greet({ runId: 'grants-nothing', creditBytes: 0 });
    await askOn(peer, signal);
  });

/** Writes images as fast as the connection takes them, whatever it was granted; grants little. */
const neverStopsWriting: Offender = (port, signal) =>
  again(port, signal, async (peer) => {
    await peer.greet({ runId: 'never-stops', creditBytes: 1_000_000 });
    for (let id = 0; peer.isOpen && !signal.aborted; id++) {
      if (!peer.send({ image: image(id, 0, LARGE) })) await peer.drained();
    }
  });

async function askOn(peer: DistillPeer, signal: AbortSignal): Promise<void> {
  for (let id = 0; peer.isOpen && !signal.aborted; id++) {
    peer.send({ image: image(id, 0, id < BURST ? LARGE : SMALL) });
    if (id >= BURST) await setTimeout(DRIP_MS);
  }
}

export const OFFENDERS = { neverReads, grantsNothing, neverStopsWriting } as const;

/** One stream after the other, a new one when the last was ended. */
async function again(
  port: number,
  signal: AbortSignal,
  offend: (peer: DistillPeer) => Promise<void>,
): Promise<OffenderResult> {
  const ends: Record<number, number> = {};
  let refused = 0;
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  while (!signal.aborted) {
    const peer = new DistillPeer(port);
    const ended = peer.status.then(({ code }) => {
      ends[code] = (ends[code] ?? 0) + 1;
    });
    await Promise.race([offend(peer).catch(() => {}), stopped]);
    await Promise.race([ended, stopped]);
    refused += peer.count('error');
    peer.close();
    if (!signal.aborted) await setTimeout(PAUSE_MS);
  }
  return { ends, refused };
}
