/** When the certificate that a service shows expires. */
import { Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { TLS_METRIC_NAMES } from './metricNames.js';

/** Sets the gauge: NaN before the first call, as a 0 would look like one long expired. */
export function certificateExpiry(registers: Registry[]): (expires: Date) => void {
  const gauge = new Gauge({ ...TLS_METRIC_NAMES.certificateExpiry, registers });
  gauge.set(Number.NaN);
  return (expires) => gauge.set(expires.getTime() / 1000);
}
