/** Sections that both services have. */
import { z } from 'zod';
import { field, milliseconds, port, section } from '../fields.js';
import { listenHost } from './addressFields.js';

export const logSection = section('Level and format of the log.', {
  level: field(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'Lowest level that is logged.',
  ),
  format: field(
    z.enum(['auto', 'json', 'text']).default('auto'),
    'JSON lines or plain text; auto: text on a terminal, otherwise JSON.',
  ),
});

const host = listenHost('Address that /metrics is served on; 0.0.0.0: all interfaces.');

const metricsPort = (value: number) =>
  field(
    port().nullable().default(value),
    'Port of /metrics; 0: any free port (logged), null: no /metrics.',
  );

export const teacherMetricsSection = section('Prometheus.', { host, port: metricsPort(9464) });

export const studentMetricsSection = section('Prometheus.', {
  host,
  port: metricsPort(9465),
  lingerMs: field(
    milliseconds().default(0),
    'How long a student still serves /metrics after it has finished, or ended because of a NaN.',
    { unit: 'ms' },
  ),
});
