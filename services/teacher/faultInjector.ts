/**
 * Fault injection (config section `faults`) into the network: changes real answers in the inference
 * thread. Faults of the wire are in wireFaults.ts.
 */
import type { EncodedOutput } from '../../src/contract/outputs.js';
import { block } from './block.js';
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

  /** The answer, possibly delayed or with a NaN written into it, or an Error in its place. */
  apply(outputs: EncodedOutput[]): EncodedOutput[] | Error {
    this.#images += 1;
    const { nonFiniteEvery, failEvery, stallEvery, stallMs } = this.#options;
    if (isTurn(this.#images, stallEvery)) block(stallMs);
    if (isTurn(this.#images, failEvery)) return new Error('an injected fault (faults.failEvery)');
    if (isTurn(this.#images, nonFiniteEvery)) writeNaN(outputs);
    return outputs;
  }
}

/** Whether the image of this number, from 1, is an `every`-th one; with 0 none is. */
export function isTurn(image: number, every: number): boolean {
  return every > 0 && image % every === 0;
}

function writeNaN(outputs: EncodedOutput[]): void {
  // int8 has no NaN, but the fp32 outputs that go with it have.
  const tensor = outputs.find(({ tensor: { dtype } }) => dtype !== 'int8')?.tensor;
  if (tensor?.dtype === 'fp32') new Uint32Array(tensor.data)[0] = 0x7fc00000;
  if (tensor?.dtype === 'fp16') new Uint16Array(tensor.data)[0] = 0x7e00;
}
