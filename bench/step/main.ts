/**
 * Teacher forward and student step beside PyTorch with the same networks: the two sides in turns, a
 * process each.
 *
 *     node --import tsx bench/step/main.ts --out docs/performance.md
 *
 * The options of all benches: bench/support/bench.ts.
 */
import { availableParallelism } from 'node:os';
import { runBench } from '../support/bench.js';
import { number, text, wholeNumber } from '../support/options.js';
import { ensureTorch } from '../support/peerPackages.js';
import { type CaseSize, caseGroups, chooseCases, GOAL_SIZE, graphCase, isGraph } from './cases.js';
import { measureGraph, measureGroup } from './measure.js';
import { STEP_PAGE } from './page.js';
import type { CaseResult, GraphResult } from './results.js';

await runBench({
  name: 'step',
  options: {
    rounds: wholeNumber(12),
    cases: text.describe('names with commas between them; all unless given'),
    threads: wholeNumber(availableParallelism()),
    height: wholeNumber(GOAL_SIZE.height),
    width: wholeNumber(GOAL_SIZE.width),
    'width-multiplier': number(1),
    'bank-rows': wholeNumber(GOAL_SIZE.bankRows.pixel),
  },
  plan({ rounds, cases, threads, height, width, ...values }) {
    const pixel = values['bank-rows'];
    const size: CaseSize = {
      ...{ height, width, widthMultiplier: values['width-multiplier'] },
      // In the paper's proportion.
      bankRows: { pixel, region: Math.max(1, Math.round(pixel / 10)) },
    };
    const all = [...caseGroups(size), [graphCase(size)]];
    const chosen = cases === undefined ? all : chooseCases(all, cases.split(','));
    const groups = chosen.filter((group) => !group.some(isGraph));
    const graphs = chosen.flat().filter(isGraph);
    return {
      sections: [...(groups.length > 0 ? ['step'] : []), ...(graphs.length > 0 ? ['graph'] : [])],
      threads,
      peer: ensureTorch,
      async measure(measuring) {
        const measurement = { ...measuring, rounds };
        const [found, beside]: [CaseResult[], GraphResult[]] = [[], []];
        for (const group of groups) {
          found.push(...(await measureGroup(group, measurement)));
          await measuring.keep({ cases: found, graphs: beside });
        }
        for (const each of graphs) {
          beside.push(...(await measureGraph(each, measurement)));
          await measuring.keep({ cases: found, graphs: beside });
        }
        return { cases: found, graphs: beside };
      },
    };
  },
  page: STEP_PAGE,
});
