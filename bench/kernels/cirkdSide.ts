/** The measured process of this project's kernels. See protocol.ts. */
import { madeTensor } from '../../services/cli/bench/inputs.js';
import { engineInfo, scope } from '../../src/tensor/index.js';
import { nativeConvolution } from '../../src/tensor/kernels/convolution.js';
import { nativeDepthwise } from '../../src/tensor/kernels/depthwise.js';
import { answerRequests, sendLine } from '../support/linesOfInput.js';
import { type Answers, LEAST_MS, type Ready, type Request, type Times } from './protocol.js';
import { type NetworkShape, outputLength, passesOf, shapesOf } from './shapes.js';

sendLine({ engine: `TensorFlow ${engineInfo().tensorflow}` } satisfies Ready);
await answerRequests((request: Request): Answers[Request['do']] => {
  return request.do === 'shapes'
    ? { shapes: shapesOf(request.network, request.size) }
    : measure(request.shape);
});

function measure(shape: NetworkShape): Times {
  return scope(() => {
    const { images, height, width, inputs, outputs, kernel, depthwise } = shape;
    const x_NHWC = [images, height, width, inputs];
    const w_RSCK = [kernel, kernel, inputs, depthwise ? 1 : outputs];
    const dy_NhwK = [images, outputLength(height, shape), outputLength(width, shape), outputs];
    const [x, w, dy] = [made('x', x_NHWC), made('w', w_RSCK), made('dy', dy_NhwK)];
    const of = depthwise ? nativeDepthwise : nativeConvolution;
    const works = {
      forward: () => of.forward(x, w, shape),
      inputGradient: () => of.inputGradient(x_NHWC, w, dy, shape),
      filterGradient: () => of.filterGradient(x, w_RSCK, dy, shape),
    };
    return Object.fromEntries(passesOf(shape).map((pass) => [pass, least(works[pass])]));
  });
}

function made(name: string, shape: readonly number[]) {
  return madeTensor(name, shape, -1, 1);
}

/** Processor time of the process: what else runs on the machine takes little of it. */
function least(work: () => unknown): number {
  const timed = () => {
    const begin = process.cpuUsage();
    scope(() => void work());
    const { user, system } = process.cpuUsage(begin);
    return (user + system) / 1000;
  };
  timed();
  let [best, all] = [Number.POSITIVE_INFINITY, 0];
  for (let count = 0; count < 2 || all < LEAST_MS; count++) {
    const ms = timed();
    best = Math.min(best, ms);
    all += ms;
  }
  return best;
}
