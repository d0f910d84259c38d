/**
 * Apache ECharts as a single built file. It is loaded when the first chart is drawn, ten times as
 * fast as the package's modules, and is copied into a report's HTML unchanged.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const FILE = 'echarts/dist/echarts.min.js';

export function loadEcharts(): typeof import('echarts') {
  return require(FILE) as typeof import('echarts');
}

/** The source of ECharts, for a script element. */
export function echartsSource(): string {
  return readFileSync(require.resolve(FILE), 'utf8');
}
