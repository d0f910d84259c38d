/**
 * Answers into the student's tensors over loopback, beside bare grpc-js and grpc's C core; and answers
 * over the Open Inference Protocol, beside Distill and a real Triton: a server and a client process for
 * each side, in turns.
 *
 *     node --import tsx bench/transport/main.ts --out docs/performance.md
 *
 * `--only wire|inference` measures one of the two; `--quick` shows in a minute that all of it runs. The
 * options of all benches: bench/support/bench.ts.
 */
import { z } from 'zod';
import { runBench } from '../support/bench.js';
import { flag } from '../support/options.js';
import { ensureGrpcio, ensureTritonclient } from '../support/peerPackages.js';
import { GOAL_SIZE as size } from './cases.js';
import { measureInference } from './inference/measureInference.js';
import { measureTransport } from './measure.js';
import { TRANSPORT_PAGE } from './page.js';
import type { TransportFound } from './results.js';

const only = z.enum(['wire', 'inference']).optional().describe('wire or inference');

await runBench({
  name: 'transport',
  options: {
    quick: flag.describe('shows in a minute or two that all of it runs'),
    only,
  },
  plan: ({ quick, only }) => ({
    sections: [
      ...(only === 'inference' ? [] : ['transport']),
      ...(only === 'wire' ? [] : ['inference']),
    ],
    peer: ensureGrpcio,
    async measure({ peer: grpcio, engines, say, keep }) {
      let found: TransportFound = { size, sides: [] };
      if (only !== 'inference') {
        const amount = quick ? { rounds: 1, answers: 8 } : { rounds: 15, answers: 48 };
        const { sides, core } = await measureTransport({ ...amount, size, grpcio, say });
        Object.assign(engines, { cirkd: 'grpc-js', torch: core });
        found = { ...found, sides };
        await keep(found);
      }
      if (only === 'wire') return found;
      const tritonclient = await ensureTritonclient(say);
      const amount = quick ? { rounds: 1, answers: 8 } : { rounds: 15, answers: 24 };
      const inference = await measureInference({ ...amount, tritonclient, say });
      return { ...found, inference };
    },
  }),
  page: TRANSPORT_PAGE,
});
