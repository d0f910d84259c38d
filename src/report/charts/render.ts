/** Charts as SVG, drawn by Apache ECharts without a browser. */
import { setImmediate } from 'node:timers/promises';
import { textWidth } from '../textWidth.js';
import type { Chart, ChartSize } from './chart.js';
import { loadEcharts } from './echarts.js';
import { chartOption } from './options.js';

/** Of a chart in a report. */
export const CHART_SIZE: ChartSize = { width: 554, height: 330 };

/** All charts of a report. One takes up to 60 ms, so the event loop gets its turn between two. */
export async function renderCharts(charts: readonly Chart[]): Promise<string[]> {
  const drawn: string[] = [];
  for (const chart of charts) {
    drawn.push(renderChart(chart, CHART_SIZE));
    await setImmediate();
  }
  return drawn;
}

/** One svg element of that size, for HTML or inside another svg. */
export function renderChart(chart: Chart, size: ChartSize): string {
  const echarts = loadEcharts();
  // There is no canvas here to measure with; "12px DejaVu Sans".
  echarts.setPlatformAPI({
    measureText: (text, font = '') => ({
      width: textWidth(text, Number.parseFloat(font.replace(/^\D+/, '')) || 12),
    }),
  });
  const drawn = echarts.init(null, null, { renderer: 'svg', ssr: true, ...size });
  try {
    drawn.setOption(chartOption(chart));
    return drawn.renderToSVGString();
  } finally {
    // A timer of an open chart keeps the process alive.
    drawn.dispose();
  }
}
