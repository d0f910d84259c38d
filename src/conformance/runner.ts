/** Runs the cases of a golden set through the registered operations. */
import { type Comparison, compare, compareStored } from './compare.js';
import { FileCase } from './fileCase.js';
import type { CaseRecord, GoldenSet } from './goldenSet.js';
import { type Operation, type OperationResult, REFUSED, UnsupportedError } from './operation.js';

/** An operation and whether it works in tiles of rows. */
export interface RegisteredOperation {
  readonly run: Operation;
  /** Run its cases with each of TILE_ROWS; otherwise with whole matrices only. */
  readonly tiled: boolean;
}

export type OperationTable = ReadonlyMap<string, RegisteredOperation>;

/** Budgets: one row, a number of rows that divides little, everything at once. */
const TILE_ROWS: readonly (number | null)[] = [1, 7, null];

export interface KeyResult {
  readonly verdict: 'PASS' | 'FAIL' | 'UNSUPPORTED';
  readonly op: string;
  readonly caseName: string;
  readonly key: string;
  /** Largest |error| / tolerance over all tile sizes; NaN if nothing was compared. */
  readonly worst: number;
  readonly reason?: string;
  /** The key exists only to help locate a fault. */
  readonly optional: boolean;
}

/** The key of cases without expected tensors, such as a file that must be refused. */
const OUTCOME_KEY = 'outcome';

/** Nothing was compared. */
const UNSUPPORTED: Comparison = { worst: Number.NaN };

/** The result for every expected key of one case, in the set's order. Never throws on a bad case. */
export async function runCase(
  set: GoldenSet,
  record: CaseRecord,
  operations: OperationTable,
): Promise<KeyResult[]> {
  const registered = operations.get(record.op);
  if (registered === undefined) {
    return keysOf(record).map((key) => judge(record, key, UNSUPPORTED));
  }
  const worst = new Map<string, Comparison>();
  for (const tileRows of registered.tiled ? TILE_ROWS : [null]) {
    const suffix = registered.tiled ? ` (tile rows: ${tileRows ?? 'all'})` : '';
    const golden = new FileCase(set, record);
    let result: OperationResult | typeof REFUSED;
    try {
      result = await registered.run(golden, { tileRows });
    } catch (error) {
      return keysOf(record).map((key) => judge(record, key, thrown(error, suffix)));
    }
    for (const key of keysOf(record)) {
      const comparison = compareKey(golden, key, result);
      const before = worst.get(key);
      if (before === undefined || comparison.worst > before.worst) {
        worst.set(key, withSuffix(comparison, suffix));
      }
    }
  }
  return keysOf(record).map((key) => judge(record, key, worst.get(key)!));
}

function compareKey(
  golden: FileCase,
  key: string,
  result: OperationResult | typeof REFUSED,
): Comparison {
  const { record } = golden;
  // Nothing to compare: the case passes because the operation hasn't thrown.
  if (record.expected[key] === undefined || result === REFUSED) return { worst: 0 };
  const got = result.get(key);
  if (got === undefined) {
    return { worst: isOptional(record, key) ? Number.NaN : Infinity, reason: 'no such result' };
  }
  const tolerance = record.tolerance[key] ?? { atol: 0, rtol: 0 };
  try {
    if (got.stored !== undefined) return compareStored(got.stored, golden.stored(key));
    return compare(got, golden.expected(key), tolerance, record.subsample?.[key]);
  } catch (error) {
    return { worst: Infinity, reason: (error as Error).message };
  }
}

function judge(record: CaseRecord, key: string, comparison: Comparison): KeyResult {
  const { worst, reason } = comparison;
  const verdict = Number.isNaN(worst) ? 'UNSUPPORTED' : worst <= 1 ? 'PASS' : 'FAIL';
  return {
    ...identity(record, key),
    verdict,
    worst,
    ...(reason === undefined ? {} : { reason }),
  };
}

function identity(record: CaseRecord, key: string) {
  return { op: record.op, caseName: record.name, key, optional: isOptional(record, key) };
}

function isOptional(record: CaseRecord, key: string): boolean {
  return record.optional?.includes(key) ?? false;
}

function keysOf(record: CaseRecord): string[] {
  const keys = Object.keys(record.expected);
  return keys.length > 0 ? keys : [OUTCOME_KEY];
}

function thrown(error: unknown, suffix: string): Comparison {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnsupportedError) return { ...UNSUPPORTED, reason: message };
  return { worst: Infinity, reason: `${message}${suffix}` };
}

function withSuffix(comparison: Comparison, suffix: string): Comparison {
  if (comparison.reason === undefined) return comparison;
  return { ...comparison, reason: `${comparison.reason}${suffix}` };
}
