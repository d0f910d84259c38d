/**
 * Answers into the student's tensors over loopback, beside bare grpc-js and grpc's C core: a server
 * and a client process for each side, in turns.
 *
 *     node --import tsx bench/transport/main.ts --out docs/performance.md
 *
 * `--quick` shows in a minute that all of it runs. The options of all benches: bench/support/bench.ts.
 */
import { runBench } from '../support/bench.js';
import { flag } from '../support/options.js';
import { ensureGrpcio } from '../support/peerPackages.js';
import { GOAL_SIZE as size } from './cases.js';
import { measureTransport } from './measure.js';
import { TRANSPORT_PAGE } from './page.js';

await runBench({
  name: 'transport',
  options: { quick: flag.describe('shows in a minute or two that all of it runs') },
  plan: ({ quick }) => ({
    sections: ['transport'],
    peer: ensureGrpcio,
    async measure({ peer: grpcio, engines, say }) {
      const amount = quick ? { rounds: 1, answers: 8 } : { rounds: 15, answers: 48 };
      const { sides, core } = await measureTransport({ ...amount, size, grpcio, say });
      Object.assign(engines, { cirkd: 'grpc-js', torch: core });
      return { size, sides };
    },
  }),
  page: TRANSPORT_PAGE,
});
