/**
 * Apache ECharts as its one built file: it is loaded when the first chart is drawn, in a tenth of
 * the time of the package's modules, and goes into a report's HTML as it is.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const FILE = 'echarts/dist/echarts.min.js';

export function loadEcharts(): typeof import('echarts') {
  return require(FILE) as typeof import('echarts');
}

/** Its source, for a script element. */
export function echartsSource(): string {
  return readFileSync(require.resolve(FILE), 'utf8');
}
