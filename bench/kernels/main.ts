/**
 * The rate of every convolution of the networks beside PyTorch's, which is oneDNN's, and the processor's own.
 *
 *     npm run bench:kernels -- --out docs/performance.md
 *
 * One thread per side, processor time; with AVX-512, and again with AVX2 on both sides. The options of all benches: bench/support/bench.ts.
 */
import { runBench } from '../support/bench.js';
import { names, wholeNumber } from '../support/options.js';
import { ensureTorch } from '../support/peerPackages.js';
import { measureKernels } from './measure.js';
import { KERNELS_PAGE } from './page.js';
import { MEASURED_LEVELS } from './results.js';

await runBench({
  name: 'kernels',
  options: {
    levels: names(MEASURED_LEVELS),
    networks: names(['resnet18', 'resnet101', 'mobilenetv2']),
    images: wholeNumber(2),
    height: wholeNumber(256),
    width: wholeNumber(512),
    rounds: wholeNumber(3),
  },
  plan({ levels, networks, images, height, width, rounds }) {
    const wanted = { levels, networks, size: { images, height, width }, rounds };
    return {
      sections: ['kernels'],
      threads: 1,
      peer: ensureTorch,
      measure: (measuring) => measureKernels(wanted, measuring),
    };
  },
  page: KERNELS_PAGE,
});
