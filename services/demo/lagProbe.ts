/** Scrapes a service's /metrics during a run, as Prometheus would, and records the event-loop lag. */

/** Each scrape's percentiles cover the time since the previous scrape. */
export const SCRAPE_EVERY_MS = 2000;
const SCRAPE_TIMEOUT_MS = 1500;
/** Polling interval until a service has announced its metrics URL. */
const LOOK_EVERY_MS = 250;

const LAG = /^nodejs_eventloop_lag_p99_seconds(?:\{[^}]*\})? (\S+)/m;

export interface LagRecord {
  /** [seconds since the watch began, p99 in seconds], in order, without the start-up. */
  readonly points: readonly (readonly [number, number])[];
  /** Seconds; null without a scrape. */
  readonly largest: number | null;
  /** Text of the last scrape that succeeded; null without one. */
  readonly lastScrape: string | null;
}

/** The p99 gauge in a scrape, in seconds; null if it is missing. */
export function lagOf(scrape: string): number | null {
  const value = Number(LAG.exec(scrape)?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/**
 * Begins to scrape. `urlOf` resolves with null until the address is known. The result of `finish`
 * omits the lag of the first scrape, which stems from loading and starting; if it is the only one, it
 * counts.
 */
export function watchLag(urlOf: () => Promise<string | null>): { finish(): Promise<LagRecord> } {
  const began = performance.now();
  const ended = new AbortController();
  const points: [number, number][] = [];
  let lastScrape: string | null = null;
  const scrape = async (url: string) => {
    const text = await fetchText(url);
    if (text === null) return;
    lastScrape = text;
    const lag = lagOf(text);
    if (lag !== null) points.push([(performance.now() - began) / 1000, lag]);
  };
  const watching = (async () => {
    let url: string | null = null;
    while (!ended.signal.aborted) {
      url ??= await urlOf();
      if (url !== null) await scrape(url);
      await pause(url === null ? LOOK_EVERY_MS : SCRAPE_EVERY_MS, ended.signal);
    }
  })();
  return {
    async finish() {
      ended.abort();
      await watching;
      const counted = points.length > 1 ? points.slice(1) : points;
      const largest = counted.length === 0 ? null : Math.max(...counted.map(([, lag]) => lag));
      return { points: counted, largest, lastScrape };
    },
  };
}

/** null if the service doesn't answer: it may just have ended. */
async function fetchText(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) });
    return response.ok ? await response.text() : null;
  } catch {
    return null;
  }
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      ended.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    ended.addEventListener('abort', wake);
    if (ended.aborted) wake();
  });
}
