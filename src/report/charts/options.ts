/**
 * Charts as options of Apache ECharts: plain data for the SVG that is drawn here and, in the HTML, for
 * the chart in the reader's browser. Numbers are rounded as tooltips should show them.
 */
import type { EChartsOption } from 'echarts';
import { writable } from '../markup.js';
import { AXIS, FONT, GRID, INK, MUTED, paletteColor } from '../palette.js';
import { textWidth } from '../textWidth.js';
import type { BarChart, Chart, ChartSeries, LineChart, ShareChart } from './chart.js';
import { type CurvePoint, curve } from './curve.js';

const TITLE_HEIGHT = 30;
const LEGEND_ROW_HEIGHT = 22;
const LEGEND_KEY = 20;
/** Smallest width of a chart in the HTML, for which the rows of its legend are counted. */
const NARROWEST = 480;
/** With at most this many points each gets a dot, because they are measurements, not a curve. */
const MAX_DOTS = 30;
/** Dash patterns, used in turn each time the palette is exhausted. */
const DASHES = ['solid', 'dashed', 'dotted'] as const;
/** Above this ratio of largest to smallest value, a logarithmic axis shows powers of ten. */
const WIDE = 300;

export function chartOption(chart: Chart): EChartsOption {
  const option =
    chart.kind === 'bars'
      ? barsOption(chart)
      : chart.kind === 'shares'
        ? sharesOption(chart)
        : linesOption(chart);
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: INK },
    title: {
      text: writable(chart.title),
      ...{ left: 8, top: 5, padding: 5 },
      textStyle: { fontSize: 15, fontWeight: 'bold', color: INK, fontFamily: FONT },
    },
    ...option,
  };
}

function linesOption(chart: LineChart): EChartsOption {
  const { xLabel, yLabel, series, logX = false, logY = false, smoothing = 1 } = chart;
  const isUsable = ([x, y]: readonly [number, number]) =>
    Number.isFinite(x) && Number.isFinite(y) && (!logX || x > 0) && (!logY || y > 0);
  const usable = series.flatMap(({ points }) => points.filter(isUsable));
  const isWhole = usable.every(([x]) => Number.isInteger(x));
  return {
    ...frame(series, 4),
    ...(usable.length === 0 ? emptyNote : {}),
    tooltip: { trigger: 'axis', confine: true, order: 'valueDesc', textStyle: { fontSize: 12 } },
    xAxis: {
      ...scaleOf(
        usable.map(([x]) => x),
        logX,
      ),
      ...nameOf(xLabel, 24),
      // Ends of the data would be labelled with all their digits: only whole ones are.
      ...(isWhole ? { min: 'dataMin' as const, max: 'dataMax' as const } : {}),
      splitLine: { show: false },
      axisLine: { lineStyle: { color: AXIS }, onZero: false },
      axisLabel: { ...small, hideOverlap: true },
      axisPointer: {
        label: { formatter: `${writable(xLabel)} {value}`, precision: isWhole ? 0 : 2 },
      },
    },
    yAxis: {
      ...valueAxis(yLabel),
      ...scaleOf(
        usable.map(([, y]) => y),
        logY,
      ),
    },
    series: series.flatMap((one, i) => {
      const { name, points, color } = one;
      const line = {
        ...{ type: 'line' as const, name: writable(name), symbol: 'circle', symbolSize: 6 },
        showSymbol: points.length <= MAX_DOTS,
        color: colorOf(color, i),
        emphasis: { disabled: true },
      };
      const type = DASHES[Math.floor(i / 7) % DASHES.length]!;
      const raw = rounded(curve(points, 1, isUsable));
      if (smoothing <= 1 || points.length <= 2) {
        return [...bandSeries(one, i), { ...line, data: raw, lineStyle: { width: 1.8, type } }];
      }
      const mean = rounded(curve(points, smoothing, isUsable));
      return [
        {
          ...line,
          ...{ data: raw, silent: true, tooltip: { show: false } },
          lineStyle: { width: 1, opacity: 0.25, type },
        },
        { ...line, data: mean, lineStyle: { width: 2, type } },
      ];
    }),
  };
}

/** Two stacked lines without strokes, the area of the upper one filled. They carry the name that the legend switches. */
function bandSeries({ name, band = [], color }: ChartSeries, index: number) {
  if (band.length === 0) return [];
  const edge = {
    ...{ type: 'line' as const, name: writable(name), stack: `band ${index}`, symbol: 'none' },
    // Without it values below 0 would be stacked on their own.
    stackStrategy: 'all' as const,
    ...{ silent: true, tooltip: { show: false }, emphasis: { disabled: true } },
    ...{ color: colorOf(color, index), lineStyle: { opacity: 0 } },
  };
  return [
    { ...edge, data: rounded(band.map(([x, low]) => [x, low])) },
    {
      ...edge,
      data: rounded(band.map(([x, low, high]) => [x, high - low])),
      areaStyle: { opacity: 0.15 },
    },
  ];
}

function barsOption({ yLabel, categories, series }: BarChart): EChartsOption {
  const barWidth = (0.75 * NARROWEST) / Math.max(1, categories.length * series.length);
  const isEmpty = series.every(({ values }) => values.every((value) => value === null));
  return {
    ...frame(series.length === 1 ? [] : series, 10),
    ...(isEmpty ? emptyNote : {}),
    tooltip: { trigger: 'axis', axisPointer: { type: 'shadow' }, confine: true },
    xAxis: {
      type: 'category',
      data: categories.map(writable),
      axisTick: { show: false },
      axisLine: { lineStyle: { color: AXIS } },
      axisLabel: {
        ...{ color: INK, fontSize: 11, rotate: 38, width: 100, overflow: 'truncate' },
        interval: categories.length > 32 ? 'auto' : 0,
      },
    },
    yAxis: { type: 'value', ...valueAxis(yLabel) },
    series: series.map(({ name, values, color }, i) => ({
      ...{ type: 'bar', name: writable(name), color: colorOf(color, i) },
      ...{ barCategoryGap: '22%', barGap: '4%', emphasis: { disabled: true } },
      data: values.map((value) => (Number.isFinite(value) ? Number(value?.toFixed(1)) : null)),
      label: { show: barWidth > 26, position: 'top', fontSize: 10, color: MUTED },
    })),
  };
}

function sharesOption({ parts, rows }: ShareChart): EChartsOption {
  const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
  const shown = rows.filter(({ values }) => total(values) > 0);
  const side = { inverse: true, axisLine: { show: false }, axisTick: { show: false } };
  return {
    ...frame(
      parts.map((name) => ({ name })),
      10,
    ),
    ...(shown.length === 0 ? emptyNote : {}),
    tooltip: { trigger: 'item', confine: true, formatter: '{b}, {a}: {c} %' },
    xAxis: { type: 'value', max: 100, show: false },
    yAxis: [
      {
        ...{ type: 'category', ...side, data: shown.map(({ name }) => writable(name)) },
        axisLabel: { color: INK, fontSize: 12, width: 130, overflow: 'truncate' },
      },
      {
        ...{ type: 'category', ...side, data: shown.map(({ note }) => writable(note)) },
        ...{ position: 'right', axisLabel: { color: MUTED, fontSize: 12 } },
      },
    ],
    series: parts.map((name, p) => ({
      ...{ type: 'bar', stack: 'whole', name: writable(name), color: paletteColor(p) },
      ...{ barMaxWidth: 60, emphasis: { disabled: true } },
      data: shown.map(({ values }) => {
        const percent = (100 * values[p]!) / total(values);
        // Narrow parts show their percentage in the tooltip only.
        const label = { show: percent >= 8, formatter: `${percent.toFixed(0)} %`, color: '#fff' };
        return { value: Number(percent.toFixed(1)), label };
      }),
    })),
  };
}

const small = { color: MUTED, fontSize: 11 };
const emptyNote: EChartsOption = {
  graphic: {
    ...{ type: 'text', left: 'center', top: 'middle' },
    style: { text: 'no values', font: `13px ${FONT}`, fill: MUTED },
  },
};

/** Rejects text that isn't a colour, because ECharts writes colours into attributes unescaped. */
function colorOf(color: string | undefined, index: number): string {
  return color !== undefined && /^(#[0-9a-f]{3,8}|[a-z]+)$/i.test(color)
    ? color
    : paletteColor(index);
}

function nameOf(name: string, nameGap: number) {
  const nameTextStyle = { color: MUTED, fontSize: 12 };
  return { name: writable(name), nameLocation: 'middle' as const, nameGap, nameTextStyle };
}

function valueAxis(name: string) {
  return {
    ...nameOf(name, 38),
    splitNumber: 4,
    splitLine: { lineStyle: { color: GRID } },
    axisLine: { show: false },
    axisTick: { show: false },
    axisLabel: small,
  };
}

/** The value axis. It needn't start at 0, because the values aren't shares. */
function scaleOf(values: readonly number[], isLog: boolean) {
  if (!isLog) return { type: 'value' as const, scale: true };
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  const logBase = high / low > WIDE ? 10 : 2;
  // From the smallest to the largest value; their labels are hidden, as they aren't round numbers.
  const ends = { min: 'dataMin' as const, max: 'dataMax' as const };
  const axisLabel = { ...small, showMinLabel: false, showMaxLabel: false };
  return {
    type: 'log' as const,
    logBase,
    ...(high / low < 8 ? {} : { ...ends, axisLabel }),
  };
}

/** A legend with as many rows as it needs, and the plot in the remaining space. */
function frame(entries: readonly { readonly name: string }[], keyHeight: number): EChartsOption {
  let [rows, x] = [entries.length === 0 ? 0 : 1, 0];
  for (const { name } of entries) {
    const width = LEGEND_KEY + 5 + textWidth(name, 12) + 14;
    if (x > 0 && x + width > NARROWEST - 26) [rows, x] = [rows + 1, 0];
    x += width;
  }
  return {
    legend: {
      show: rows > 0,
      ...{ left: 8, top: TITLE_HEIGHT, itemWidth: LEGEND_KEY, itemHeight: keyHeight, itemGap: 14 },
      ...{ icon: 'rect', textStyle: { color: INK, fontSize: 12, fontFamily: FONT } },
    },
    grid: {
      ...{ left: 10, right: 20, top: TITLE_HEIGHT + rows * LEGEND_ROW_HEIGHT + 14, bottom: 10 },
      ...{ outerBoundsMode: 'same', outerBoundsContain: 'all' },
    },
  };
}

/** Values with four digits, because more would only make tooltips longer. */
function rounded(points: readonly CurvePoint[]): CurvePoint[] {
  return points.map(([x, y]) => [
    Number(x.toPrecision(7)),
    y === null ? null : Number(y.toPrecision(4)),
  ]);
}
