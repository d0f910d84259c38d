/** Logs refused calls at a limited rate, as strangers could fill the log. */
import type { Logger } from '../../src/telemetry/log.js';

interface Refused {
  readonly peer: string;
  readonly reason: string;
}

/** At most one line per reason and `everyMs`; each counts the refusals since the last line. */
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
