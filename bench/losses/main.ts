/**
 * Time and memory of the relational losses beside PyTorch's and beside the matrix products alone.
 * Each measurement is a process of its own, the two sides in turns.
 *
 *     node --import tsx bench/losses/main.ts --out docs/performance.md --budget-minutes 20
 *     node --import tsx bench/losses/main.ts --losses skd_pairwise,cwd_feature
 *
 * `--quick` shows in some minutes that all of it runs. The options of all benches: bench/support/bench.ts.
 */
import { runBench } from '../support/bench.js';
import { flag, names, number, pairs, wholeNumbers } from '../support/options.js';
import { ensureTorch } from '../support/peerPackages.js';
import { Forecast } from './forecast.js';
import { expectedSeconds, measurePoint } from './measure.js';
import { LOSSES_PAGE } from './page.js';
import {
  allPoints,
  type Channels,
  COMPARED_LOSSES,
  pointName,
  QUICK,
  type Size,
  unfitReason,
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
    quick: flag.describe('shows in some minutes that all of it runs: one size, one round'),
    'budget-minutes': number(20),
    'memory-gib': number(16),
    'point-seconds': number(120),
  },
  plan({ quick, sizes: given, batches, channels, losses, ...values }) {
    const budget = values['budget-minutes'];
    const sizes = given.map(([height, width]): Size => ({ height, width }));
    const pairsOfChannels = channels.map(([student, teacher]): Channels => ({ student, teacher }));
    const all = quick ? allPoints(QUICK) : allPoints({ sizes, batches, channels: pairsOfChannels });
    const wanted = all.filter(({ loss }) => losses.includes(loss));
    return {
      sections: ['losses'],
      peer: ensureTorch,
      async measure(measuring) {
        const limits = { memoryGiB: values['memory-gib'], seconds: values['point-seconds'] };
        const measurement = { ...measuring, limits, quick, forecast: new Forecast() };
        const points: PointResult[] = [];
        for (const point of wanted) {
          const end = measuring.minutes() + expectedSeconds(point, measurement) / 60;
          const noTime = end > budget ? `no time left of ${budget} minutes` : null;
          const skipped = unfitReason(point) ?? noTime;
          if (skipped !== null) {
            points.push({ point, sides: { cirkd: { skipped }, torch: { skipped } } });
            measuring.say(`${pointName(point)}: ${skipped}`);
          } else points.push(await measurePoint(point, measurement));
          await measuring.keep({ points, quick });
        }
        return { points, quick };
      },
    };
  },
  page: LOSSES_PAGE,
});
