/** Charts as SVG: lines, bars, shares; colour-blind-safe, with a legend. */
import { renderXAxis, renderYAxis } from './axes.js';
import { type BarChart, renderBars } from './bars.js';
import { type ChartSeries, type Frame, renderLine, usablePoints } from './lines.js';
import {
  type ChartPlace,
  type ChartSize,
  chartSvg,
  emptyNote,
  LEGEND_ROW_HEIGHT,
  renderLegend,
  TITLE_HEIGHT,
} from './parts.js';
import { linearScale, logScale } from './scale.js';
import { renderShares, type ShareChart } from './shares.js';

export interface LineChart {
  readonly kind?: 'lines';
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly ChartSeries[];
  /** Logarithmic y axis; values of 0 and below leave gaps. */
  readonly logY?: boolean;
  /** Draws the running mean over so many points, and the points themselves faintly behind. */
  readonly smoothing?: number;
}

export type Chart = LineChart | BarChart | ShareChart;

const MARGIN = { left: 62, right: 18, bottom: 46 };

/** An svg element of that size; it can stand in HTML or inside another svg (with x and y). */
export function renderChart(
  chart: Chart,
  size: ChartSize,
  place: ChartPlace = { x: 0, y: 0 },
): string {
  const content =
    chart.kind === 'bars'
      ? renderBars(chart, size)
      : chart.kind === 'shares'
        ? renderShares(chart, size)
        : renderLines(chart, size);
  return chartSvg(chart.title, size, place, content);
}

function renderLines(chart: LineChart, size: ChartSize): string[] {
  const legend = renderLegend(chart.series, size.width);
  const top = TITLE_HEIGHT + legend.rows * LEGEND_ROW_HEIGHT + 8;
  const usable = chart.series.map((series) => usablePoints(series, chart.logY === true));
  const xs = usable.flat().map(([x]) => x);
  const ys = usable.flat().map(([, y]) => y);
  const width = size.width - MARGIN.left - MARGIN.right;
  const height = size.height - top - MARGIN.bottom;
  const frame: Frame = {
    left: MARGIN.left,
    top,
    width,
    height,
    x: linearScale(xs, Math.max(2, Math.floor(width / 90)), 0),
    y:
      chart.logY === true
        ? logScale(ys)
        : linearScale(ys, Math.max(2, Math.floor(height / 45)), 0.05),
  };
  return [
    legend.markup,
    renderYAxis(chart.yLabel, frame, frame.y),
    renderXAxis(chart.xLabel, frame, frame.x, size.height - 9),
    ...chart.series.map((series, index) => renderLine(series, index, frame, chart)),
    xs.some(Number.isFinite) ? '' : emptyNote(frame),
  ];
}
