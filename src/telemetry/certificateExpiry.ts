/** The metric for the expiry of the certificate that a service presents. */
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { TLS_METRIC_NAMES } from './metricNames.js';

/** Returns a setter. NaN before its first call: 0 would look like a certificate long expired. */
export function certificateExpiry(registers: Registry[]): (expires: Date) => void {
  const gauge = new Gauge({ ...TLS_METRIC_NAMES.certificateExpiry, registers });
  gauge.set(Number.NaN);
  return (expires) => gauge.set(expires.getTime() / 1000);
}
