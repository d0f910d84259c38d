/**
 * A training step of the network alone: forward, backward from constant gradients of its outputs,
 * update. What a step with losses takes beyond it is the losses'.
 *
 * N images, h w positions of the outputs, K classes, C feature channels.
 */
import { performance } from 'node:perf_hooks';
import { madeTensor, outputSize } from '../../services/cli/bench/inputs.js';
import type { StudentWork } from '../../services/cli/bench/studentWork.js';
import type { Workload } from '../../services/cli/bench/workload.js';
import { StagedBuffers } from '../../src/models/buffers.js';
import type { ForwardContext } from '../../src/models/context.js';
import type { NetworkOutputs } from '../../src/models/network.js';
import {
  type Parameter,
  readFloat32,
  scope,
  Tape,
  type Tensor,
  type Var,
} from '../../src/tensor/index.js';
import type { Check, Timing } from './protocol.js';
import { euclideanNorm, sampled } from './sampled.js';

/** About what losses that are means over positions give. */
const LARGEST_SEED = 1e-4;

export class NetworkWork {
  readonly #student: StudentWork;
  readonly #seeds: Readonly<Record<keyof NetworkOutputs, Tensor>>;
  #steps = 0;

  constructor(student: StudentWork, workload: Workload) {
    this.#student = student;
    const map = [workload.images, ...outputSize(workload)];
    const seed = (name: keyof NetworkOutputs, channels: number) =>
      // The backward pass lets go of what it was given.
      madeTensor(`seed/${name}`, [...map, channels], -LARGEST_SEED, LARGEST_SEED).hold();
    this.#seeds = {
      logits: seed('logits', workload.classes),
      aux: seed('aux', workload.classes),
      feature: seed('feature', student.trainer.parts.network.featureChannels),
    };
  }

  check(): Check {
    const check: Record<string, number[]> = {};
    const parameters = this.#student.trainer.parts.network.parameters();
    this.#step({
      dropoutSeed: null,
      seeOutputs: (outputs) => {
        for (const [name, output] of presentOutputs(outputs)) {
          check[name] = sampled(readFloat32(output.value));
        }
      },
      seeGradients: (gradients) => {
        const norm = (each: Parameter) => euclideanNorm(readFloat32(gradients.get(each)!));
        check['gradient norms'] = parameters.map(norm);
      },
    });
    check['weight norms after the update'] = parameters.map((each) =>
      euclideanNorm(each.toFloat32()),
    );
    return check;
  }

  step(): Timing {
    const { dropoutSeed } = this.#student.trainer.parts;
    const step = this.#steps;
    return this.#step({ dropoutSeed: (layer) => dropoutSeed!(step, 0, layer) });
  }

  #step(how: {
    readonly dropoutSeed: ForwardContext['dropoutSeed'];
    readonly seeOutputs?: (outputs: NetworkOutputs) => void;
    readonly seeGradients?: (gradients: ReadonlyMap<Parameter, Tensor>) => void;
  }): Timing {
    const { optimizer, schedule } = this.#student.trainer.parts;
    const staged = new StagedBuffers();
    return scope(() => {
      const begin = performance.now();
      const gradients = scope(() => this.#pass(how.dropoutSeed, staged, how.seeOutputs));
      const between = performance.now();
      how.seeGradients?.(gradients);
      optimizer.apply(gradients, schedule.learningRate);
      staged.commit();
      this.#steps += 1;
      return { pass: between - begin, update: performance.now() - between };
    });
  }

  #pass(
    dropoutSeed: ForwardContext['dropoutSeed'],
    staged: StagedBuffers,
    seeOutputs?: (outputs: NetworkOutputs) => void,
  ): Map<Parameter, Tensor> {
    const tape = new Tape(true);
    try {
      const context = { tape, training: true, dropoutSeed, staged };
      const image = tape.constant(this.#student.image_NHWC);
      const outputs = this.#student.trainer.parts.network.forward(context, image);
      seeOutputs?.(outputs);
      const seeds = presentOutputs(outputs).map(
        ([name, output]) => [output, this.#seeds[name]] as const,
      );
      return tape.backward(seeds).parameters;
    } finally {
      tape.dispose();
    }
  }
}

/** Without an auxiliary head its logits are null. */
function presentOutputs(outputs: NetworkOutputs): [keyof NetworkOutputs, Var][] {
  const { logits, aux, feature } = outputs;
  return [
    ['logits', logits],
    ...(aux === null ? [] : ([['aux', aux]] as [keyof NetworkOutputs, Var][])),
    ['feature', feature],
  ];
}
