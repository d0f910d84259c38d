/** Time and extra memory against positions, both axes logarithmic, as one SVG. */
import type { ChartSeries } from '../../src/report/charts/chart.js';
import { renderChart } from '../../src/report/charts/render.js';
import { element, escapeText } from '../../src/report/markup.js';
import type { Point } from './points.js';
import { extraMiB, isMeasured, medianMs, type PointResult, type SideResult } from './results.js';

const PANEL = { width: 440, height: 320 };
const SIDES = { cirkd: 'here', torch: 'PyTorch' } as const;

/** Mini-batch loss at the batch that has most sizes. */
export function lossesPlot(results: readonly PointResult[]): string {
  const minibatch = results.filter(({ point }) => point.loss === 'minibatch');
  const images = busiestBatch(minibatch);
  const shown = minibatch.filter(({ point }) => point.images === images);
  const panel = (title: string, unit: string, value: (side: SideResult) => number, x: number) =>
    element(
      'g',
      { transform: `translate(${x} 0)` },
      renderChart(
        {
          ...{ title: `${title}, B = ${images}`, xLabel: 'positions, H × W', yLabel: unit },
          ...{ series: series(shown, value), logX: true, logY: true },
        },
        PANEL,
      ),
    );
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      width: 2 * PANEL.width,
      height: PANEL.height,
      viewBox: `0 0 ${2 * PANEL.width} ${PANEL.height}`,
      role: 'img',
    },
    `<title>${escapeText('Mini-batch loss with gradient')}</title>` +
      element('rect', { width: 2 * PANEL.width, height: PANEL.height, fill: 'white' }) +
      panel('Time', 's', (side) => medianMs(side) / 1000, 0) +
      panel('Extra memory', 'MiB', extraMiB, PANEL.width),
  );
}

const positionsOf = ({ height, width }: Point) => height * width;

function busiestBatch(results: readonly PointResult[]): number {
  const counts = new Map<number, number>();
  for (const { point, sides } of results) {
    if (isMeasured(sides.cirkd)) counts.set(point.images, (counts.get(point.images) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 1;
}

/** A line for each side and pair of channels. */
function series(
  results: readonly PointResult[],
  value: (side: SideResult) => number,
): ChartSeries[] {
  const channels = new Set(
    results.map(({ point }) => `${point.channels.student}/${point.channels.teacher}`),
  );
  const lines = [...channels].flatMap((pair) =>
    (['cirkd', 'torch'] as const).map((side) => ({ pair, side })),
  );
  return lines.map(({ pair, side }) => ({
    name: `${SIDES[side]} ${pair}`,
    points: results
      .filter(({ point }) => `${point.channels.student}/${point.channels.teacher}` === pair)
      .flatMap(({ point, sides }): [number, number][] => {
        const one = sides[side];
        return isMeasured(one) ? [[positionsOf(point), value(one)]] : [];
      })
      .sort((a, b) => a[0] - b[0]),
  }));
}
