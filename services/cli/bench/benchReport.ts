/** The measurements as text for people. */
import { textTable } from '../../../src/report/textTable.js';
import type { WorkMeasurement } from './measureWork.js';
import type { WorkProfile } from './opProfile.js';

export function benchReport(measurements: readonly WorkMeasurement[]): string {
  const table = textTable({
    columns: ['', 'images/s', 'median, ms', 'range, ms', 'peak, MiB', 'above start, MiB'],
    rows: measurements.map((measured) => [
      measured.name,
      measured.imagesPerSecond.toFixed(2),
      measured.medianMs.toFixed(0),
      `${Math.min(...measured.ms).toFixed(0)}–${Math.max(...measured.ms).toFixed(0)}`,
      measured.peakMiB.toFixed(0),
      measured.extraMiB.toFixed(0),
    ]),
  });
  const profiles = measurements.flatMap(({ name, profile }) =>
    profile === null ? [] : [`\n${name}, time per op\n\n${profileTable(profile)}`],
  );
  return [table, ...profiles].join('');
}

function profileTable({ ms, rows, rest, machineGigaflops }: WorkProfile): string {
  const share = (value: number) => `${(100 * value).toFixed(1)} %`;
  return textTable({
    columns: ['op', 'calls', 'ms', 'share', 'GFLOP/s'],
    rows: [
      ...rows.map((row) => [
        ...[row.op, count(row.calls), row.ms.toFixed(1), share(row.share)],
        row.gigaflops?.toFixed(0) ?? '',
      ]),
      ['rest: JavaScript, waiting', '', rest.ms.toFixed(1), share(rest.share), ''],
      ['total', '', ms.toFixed(1), share(1), ''],
      ["a large product, TensorFlow's", '', '', '', machineGigaflops.toFixed(0)],
    ],
  });
}

/** A whole number, unless the repetitions ran the op different numbers of times. */
const count = (calls: number) => (Number.isInteger(calls) ? String(calls) : calls.toFixed(1));
