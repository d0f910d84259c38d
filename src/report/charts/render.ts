/** Draws charts as SVG, with Apache ECharts and without a browser. */
import { setImmediate } from 'node:timers/promises';
import { textWidth } from '../textWidth.js';
import type { Chart, ChartSize } from './chart.js';
import { loadEcharts } from './echarts.js';
import { chartOption } from './options.js';

/** The size of a chart in a report. */
export const CHART_SIZE: ChartSize = { width: 554, height: 330 };

/** Draws all charts of a report. Each takes up to 60 ms, so the event loop runs in between. */
export async function renderCharts(charts: readonly Chart[]): Promise<string[]> {
  const drawn: string[] = [];
  for (const chart of charts) {
    drawn.push(renderChart(chart, CHART_SIZE));
    await setImmediate();
  }
  return drawn;
}

/** Draws one chart as an svg element, for HTML or inside another svg. */
export function renderChart(chart: Chart, size: ChartSize): string {
  const echarts = loadEcharts();
  // There is no canvas to measure text with. `font` looks like "12px DejaVu Sans".
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
    // A chart that isn't disposed has a timer, which would keep the process alive.
    drawn.dispose();
  }
}
