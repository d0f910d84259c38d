/** Logs refused calls at a limited rate, as unauthenticated clients could fill the log. */
import type { Logger } from '../../src/telemetry/log.js';

interface Refused {
  readonly peer: string;
  readonly reason: string;
}

/** At most one line per reason and `everyMs`; each counts the refusals since the last line. */
export function refusalLog(log: Logger, everyMs = 1000): (refused: Refused) => void {
  const lastLines = new Map<string, { atMs: number; suppressed: number }>();
  return ({ peer, reason }) => {
    const last = lastLines.get(reason);
    if (last !== undefined && performance.now() - last.atMs < everyMs) {
      last.suppressed++;
      return;
    }
    log.warn({ peer, reason, suppressed: last?.suppressed ?? 0 }, 'call refused');
    lastLines.set(reason, { atMs: performance.now(), suppressed: 0 });
  };
}
