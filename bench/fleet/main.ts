/**
 * What it costs that teachers are elsewhere: a student with its teacher in one process beside two, the
 * waiting with ample teachers, the rate of fleets of 1 to 16.
 *
 *     node --import tsx bench/fleet/main.ts --out docs/performance.md
 *
 * `--quick` shows in a minute that all of it runs. The options of all benches: bench/support/bench.ts.
 */
import { runBench } from '../support/bench.js';
import { flag } from '../support/options.js';
import { type Amount, measureFleet, measureRemote } from './measure.js';
import { FLEET_PAGE } from './page.js';

/** Answers of 64x128 positions. */
const SIZE = { height: 512, width: 1024, classes: 19, channels: 512, latencyMs: 400 };
const TRAINED = { height: 128, width: 256 };

const QUICK: Amount = {
  ...{ trainRounds: 1, trainSteps: 2, waitingRounds: 1, waitingSteps: 5 },
  ...{ scalingRounds: 1, imagesEach: 2 },
};
const WHOLE: Amount = {
  ...{ trainRounds: 12, trainSteps: 16, waitingRounds: 3, waitingSteps: 100 },
  ...{ scalingRounds: 3, imagesEach: 20 },
};

await runBench({
  name: 'fleet',
  options: { quick: flag.describe('shows in a minute or two that all of it runs') },
  plan: ({ quick }) => ({
    sections: ['fleet'],
    async measure({ engines, say }) {
      engines.cirkd = 'TensorFlow on the CPU';
      const amount = quick ? QUICK : WHOLE;
      const remote = await measureRemote(amount, TRAINED, say);
      const counts = quick ? [1, 2] : [1, 2, 4, 8, 16];
      return { size: SIZE, remote, ...(await measureFleet(amount, SIZE, counts, say)) };
    },
  }),
  page: FLEET_PAGE,
});
