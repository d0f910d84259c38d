/**
 * Time and memory of the relational losses beside PyTorch's and beside the matrix products alone.
 * Each measurement is a process of its own, the two sides in turns.
 *
 *     node --import tsx bench/losses/main.ts --out docs/performance.md --budget-minutes 20
 *     node --import tsx bench/losses/main.ts --losses skd_pairwise,cwd
 *
 * The options of all benches: bench/support/bench.ts.
 */
import { runBench } from '../support/bench.js';
import { names, number, pairs, wholeNumbers } from '../support/options.js';
import { ensureTorch } from '../support/peerPackages.js';
import { Forecast } from './forecast.js';
import { expectedSeconds, measurePoint } from './measure.js';
import { LOSSES_PAGE } from './page.js';
import {
  type Channels,
  COMPARED_LOSSES,
  comparedPoints,
  listPoints,
  pointName,
  type Size,
} from './points.js';
import type { PointResult } from './results.js';

await runBench({
  name: 'losses',
  options: {
    sizes: pairs('x', [
      [32, 64],
      [64, 128],
      [96, 192],
      [128, 256],
    ]),
    batches: wholeNumbers([1, 2, 4, 8]),
    channels: pairs('/', [
      [128, 512],
      [512, 512],
    ]),
    losses: names(['minibatch', 'memory', ...COMPARED_LOSSES]),
    'budget-minutes': number(20),
    'memory-gib': number(16),
    'point-seconds': number(120),
  },
  plan({ sizes: given, batches, channels, losses, ...values }) {
    const budget = values['budget-minutes'];
    const sizes = given.map(([height, width]): Size => ({ height, width }));
    const pairsOfChannels = channels.map(([student, teacher]): Channels => ({ student, teacher }));
    const wanted = [
      ...listPoints(sizes, batches, pairsOfChannels),
      ...comparedPoints(sizes, batches),
    ].filter(({ loss }) => losses.includes(loss));
    return {
      sections: ['losses'],
      peer: ensureTorch,
      async measure(measuring) {
        const limits = { memoryGiB: values['memory-gib'], seconds: values['point-seconds'] };
        const measurement = { ...measuring, limits, forecast: new Forecast() };
        const points: PointResult[] = [];
        for (const point of wanted) {
          const end = measuring.minutes() + expectedSeconds(point, measurement) / 60;
          if (end > budget) {
            const skipped = { skipped: `no time left of ${budget} minutes` };
            points.push({ point, sides: { cirkd: skipped, torch: skipped } });
            measuring.say(`${pointName(point)}: ${skipped.skipped}`);
          } else points.push(await measurePoint(point, measurement));
          await measuring.keep({ points });
        }
        return { points };
      },
    };
  },
  page: LOSSES_PAGE,
});
