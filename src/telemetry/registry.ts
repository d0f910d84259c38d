/** A registry of one service's own, with Node's metrics in it. */
import { collectDefaultMetrics, Registry } from 'prom-client';

/** How fine event-loop lag is measured; it is also what an idle loop shows. */
const EVENT_LOOP_PRECISION_MS = 5;

/** Gauges called `_total`, which `promtool check metrics` faults; the ones by type stay. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/**
 * Not prom-client's global registry: two services in one process (tests) would share it.
 * Holds Node's default metrics, among them nodejs_eventloop_lag_p99_seconds. Those percentiles
 * are of the time since the scrape before.
 */
export function createRegistry(): Registry {
  const registry = new Registry();
  collectDefaultMetrics({
    register: registry,
    eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS,
  });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}

/** From a millisecond to ten minutes; forward passes and steps on any hardware. */
export const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];
