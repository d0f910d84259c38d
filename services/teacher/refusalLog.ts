/** Refused calls in the log, where strangers could fill it. */
import type { Logger } from '../../src/telemetry/log.js';

interface Refused {
  readonly peer: string;
  readonly reason: string;
}

/** A line a reason and `everyMs`; it counts those before it that got none. */
export function refusalLog(log: Logger, everyMs = 1000): (refused: Refused) => void {
  const told = new Map<string, { atMs: number; untold: number }>();
  return ({ peer, reason }) => {
    const last = told.get(reason);
    if (last !== undefined && performance.now() - last.atMs < everyMs) {
      last.untold++;
      return;
    }
    log.warn({ peer, reason, untold: last?.untold ?? 0 }, 'call refused');
    told.set(reason, { atMs: performance.now(), untold: 0 });
  };
}
