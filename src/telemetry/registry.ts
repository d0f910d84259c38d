/** Creates a service's own registry, which includes Node's metrics. */
import { collectDefaultMetrics, Registry } from 'prom-client';

/** Resolution of the event-loop lag, which is also the value for an idle loop. */
const EVENT_LOOP_PRECISION_MS = 5;

/** Gauges named `_total`, which `promtool check metrics` rejects; those by type are kept. */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `nodejs_active_${what}_total`);

/**
 * Isn't prom-client's global registry, which two services in one process (tests) would share.
 * Contains Node's default metrics, among them nodejs_eventloop_lag_p99_seconds; these percentiles
 * cover the time since the previous scrape.
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

/** From a millisecond to ten minutes: covers forward passes and steps on any hardware. */
export const SECONDS_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
];
