/** Lists the keys in which the configs of runs differ. */
import { parse } from 'yaml';
import type { ReportTable } from './reportData.js';

/** One row per key, one column per run; a dash stands for a missing key. */
export function configDifferences(
  configs: readonly { readonly name: string; readonly text: string }[],
): ReportTable {
  const flat = configs.map(({ text }) => flattened(text));
  const keys = [...new Set(flat.flatMap((config) => [...config.keys()]))];
  const differing = keys.filter((key) => new Set(flat.map((config) => config.get(key))).size > 1);
  return {
    columns: ['key', ...configs.map(({ name }) => name)],
    rows: differing.map((key) => [key, ...flat.map((config) => config.get(key) ?? '–')]),
  };
}

/** Values as JSON, keyed by dotted path; lists count as values. Empty if the text isn't YAML. */
function flattened(text: string): Map<string, string> {
  const values = new Map<string, string>();
  const visit = (prefix: string, value: unknown): void => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      values.set(prefix, JSON.stringify(value) ?? '–');
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      visit(prefix === '' ? key : `${prefix}.${key}`, item);
    }
  };
  try {
    visit('', parse(text));
  } catch {
    values.clear();
  }
  return values;
}
