/**
 * What the exchange between ranks costs: a step of two ranks with a core each beside that of one process with one core
 * and one rank's share of the batch.
 *
 *     node --import tsx bench/group/main.ts --out docs/distributed.md
 *
 * `--quick` shows in a minute or two that all of it runs. The options of all benches: bench/support/bench.ts. Needs
 * two cores and taskset.
 */
import type { Workload } from '../../services/cli/bench/workload.js';
import { runBench } from '../support/bench.js';
import { flag, wholeNumber } from '../support/options.js';
import { BANK_ROWS } from '../wire/students.js';
import { type Amount, measureCase, type NamedWorkload } from './measure.js';
import { GROUP_PAGE } from './page.js';
import { twoCores } from './ranks.js';
import type { GroupCase } from './results.js';

const IMAGES = 2;
const QUICK: Amount = { rounds: 1, steps: 2, small: 50 };
const QUICK_SIZE = { height: 64, width: 128 };

const TASK = {
  ...({ variant: 'v1', loss: 'cirkd' } as const),
  ...{ widthMultiplier: 1, classes: 19, images: IMAGES, teacherChannels: 256, bankRows: BANK_ROWS },
};

function workloads(size: { readonly height: number; readonly width: number }): NamedWorkload[] {
  const networks = [
    { model: 'deeplabv3', backbone: 'resnet18' },
    { model: 'deeplab_mobile', backbone: 'mobilenetv2' },
  ] as const;
  return networks.map((network) => ({
    name: `${network.model}-${network.backbone}`,
    workload: { ...TASK, ...network, ...size } satisfies Workload,
  }));
}

await runBench({
  name: 'group',
  options: {
    quick: flag.describe('shows in a minute or two that all of it runs'),
    rounds: wholeNumber(8),
    steps: wholeNumber(5),
    height: wholeNumber(256),
    width: wholeNumber(512),
  },
  plan({ quick, rounds, steps, height, width }) {
    const cores = twoCores();
    const amount = quick ? QUICK : { rounds, steps, small: 500 };
    const size = quick ? QUICK_SIZE : { height, width };
    return {
      sections: ['group'],
      threads: cores.length,
      async measure({ engines, say, keep }) {
        const cases: GroupCase[] = [];
        const smallMs: number[] = [];
        const found = { images: IMAGES, ...size, cores, bare: { smallMs }, cases };
        for (const each of workloads(size)) {
          const measured = await measureCase(each, amount, cores, say);
          cases.push(measured.found);
          smallMs.push(...measured.bare.smallMs);
          engines.cirkd = `TensorFlow ${measured.tensorflow}`;
          await keep(found);
        }
        return found;
      },
    };
  },
  page: GROUP_PAGE,
});
