/**
 * Makes the charts in a report's HTML interactive: values under the pointer, series switched on and
 * off in the legend. Everything is in the HTML file, so it works without a network.
 */
import { createHash } from 'node:crypto';
import type { Chart } from './chart.js';
import { echartsSource } from './echarts.js';
import { chartOption } from './options.js';

/** Replaces each drawing by an interactive chart, in order. */
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
  /** The addition to a Content-Security-Policy that allows these scripts and no others. */
  readonly policy: string;
}

export function liveCharts(charts: readonly Chart[]): LiveCharts {
  if (charts.length === 0) return { scripts: '', policy: '' };
  const sources = [echartsSource(), START];
  const hashes = sources.map(
    (source) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`,
  );
  // Escaped, so that no text in the data can end the script element.
  const options = JSON.stringify(charts.map(chartOption)).replaceAll('<', '\\u003c');
  return {
    scripts: [
      `<script type="application/json" id="chart-options">${options}</script>`,
      ...sources.map((source) => `<script>${source}</script>`),
    ].join('\n'),
    policy: `; script-src ${hashes.join(' ')}`,
  };
}
