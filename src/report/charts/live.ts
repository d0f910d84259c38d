/**
 * What makes the charts of a report's HTML answer to the mouse: values under the pointer, series
 * switched on and off in the legend. All of it stands in the file; it works without a network.
 */
import { createHash } from 'node:crypto';
import type { Chart } from './chart.js';
import { echartsSource } from './echarts.js';
import { chartOption } from './options.js';

/** Puts a live chart in place of each drawing, in their order. */
const START = `
const options = JSON.parse(document.getElementById('chart-options').textContent);
document.querySelectorAll('figure.chart').forEach((figure, i) => {
  figure.replaceChildren();
  const chart = echarts.init(figure, null, { renderer: 'svg' });
  chart.setOption(options[i]);
  new ResizeObserver(() => chart.resize()).observe(figure);
});
`;

export interface LiveCharts {
  /** Script elements for the end of the body. */
  readonly scripts: string;
  /** What a Content-Security-Policy has to add: these very scripts may run, no others. */
  readonly policy: string;
}

export function liveCharts(charts: readonly Chart[]): LiveCharts {
  if (charts.length === 0) return { scripts: '', policy: '' };
  const sources = [echartsSource(), START];
  const hashes = sources.map(
    (source) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`,
  );
  // No text in the data may end its element.
  const options = JSON.stringify(charts.map(chartOption)).replaceAll('<', '\\u003c');
  return {
    scripts: [
      `<script type="application/json" id="chart-options">${options}</script>`,
      ...sources.map((source) => `<script>${source}</script>`),
    ].join('\n'),
    policy: `; script-src ${hashes.join(' ')}`,
  };
}
