/** Faults on purpose (config section `faults`): they happen to real answers on their way out. */
import type { EncodedOutput } from '../../src/stream/names.js';
import type { FaultOptions } from './workerProtocol.js';

export class FaultInjector {
  readonly #options: FaultOptions;
  #images = 0;

  constructor(options: FaultOptions) {
    this.#options = options;
  }

  get writesNaN(): boolean {
    return this.#options.nonFiniteEvery > 0;
  }

  /** The answer itself, the answer with a NaN written into it, or an Error in its place. */
  apply(outputs: EncodedOutput[]): EncodedOutput[] | Error {
    this.#images += 1;
    const { nonFiniteEvery, failEvery } = this.#options;
    if (isTurn(this.#images, failEvery)) return new Error('a fault on purpose (faults.failEvery)');
    if (isTurn(this.#images, nonFiniteEvery)) writeNaN(outputs);
    return outputs;
  }
}

function isTurn(image: number, every: number): boolean {
  return every > 0 && image % every === 0;
}

function writeNaN(outputs: EncodedOutput[]): void {
  // int8 has no NaN; what goes with it has.
  const tensor = outputs.find(({ tensor: { dtype } }) => dtype !== 'int8')?.tensor;
  if (tensor?.dtype === 'fp32') new Uint32Array(tensor.data)[0] = 0x7fc00000;
  if (tensor?.dtype === 'fp16') new Uint16Array(tensor.data)[0] = 0x7e00;
}
