/** The conformance report: one line per key, then the counts. */
import type { KeyResult } from './runner.js';

/** `PASS|FAIL|UNSUPPORTED <tab> op <tab> case <tab> key <tab> worst |error|/tolerance`. */
export function resultLine({ verdict, op, caseName, key, worst }: KeyResult): string {
  return [verdict, op, caseName, key, formatRatio(worst)].join('\t');
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function count(results: Iterable<KeyResult>): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { verdict } of results) {
    if (verdict === 'PASS') counts.passed += 1;
    else if (verdict === 'FAIL') counts.failed += 1;
    else counts.skipped += 1;
  }
  return counts;
}

export function countsLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/**
 * Whether the set failed: some key is FAIL, or UNSUPPORTED in an operation requested by name without being
 * optional.
 */
export function isFailure(results: readonly KeyResult[], namedOps: ReadonlySet<string>): boolean {
  return results.some(
    ({ verdict, op, optional }) =>
      verdict === 'FAIL' || (verdict === 'UNSUPPORTED' && namedOps.has(op) && !optional),
  );
}

function formatRatio(worst: number): string {
  if (Number.isNaN(worst)) return '-';
  if (worst === Infinity) return 'inf';
  return worst === 0 ? '0' : worst.toPrecision(3);
}
