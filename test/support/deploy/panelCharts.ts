/** The dashboard's panels as charts of what a Prometheus server has: for eyes, not for checks. */
import type { LineChart } from '../../../src/report/charts/chart.js';
import type { PrometheusServer } from '../tools/prometheusServer.js';
import { panelQueries } from './monitoringFiles.js';

/** One chart a panel, of the last `seconds`. */
export async function panelCharts(
  prometheus: PrometheusServer,
  seconds: number,
  rateInterval: string,
): Promise<LineChart[]> {
  const now = Date.now() / 1000;
  const charts = new Map<string, LineChart>();
  for (const { panel, expr, legend } of panelQueries(rateInterval)) {
    const drawn = await prometheus.range(expr, seconds);
    const series = drawn.map(({ metric, values }) => ({
      name: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? ''),
      points: values.map(([time, value]) => [time - now, value] as const),
    }));
    const before = charts.get(panel)?.series ?? [];
    charts.set(panel, {
      title: panel,
      xLabel: 'seconds until now',
      yLabel: '',
      series: [...before, ...series],
    });
  }
  return [...charts.values()];
}
