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
import { euclideanNorm, sampled } from './agreement.js';
import type { Check, StepWork, Timing } from './protocol.js';

/** About what losses that are means over positions give. */
const LARGEST_SEED = 1e-4;

type Seeds = Readonly<Record<keyof NetworkOutputs, Tensor>>;

/** What a check looks at while a step is made. */
interface Seen {
  outputs(outputs: NetworkOutputs): void;
  gradients(gradients: ReadonlyMap<Parameter, Tensor>): void;
}

export function networkWork(student: StudentWork, workload: Workload): StepWork {
  const { network, optimizer, schedule, dropoutSeed } = student.trainer.parts;
  const map = [workload.images, ...outputSize(workload)];
  const seed = (name: keyof NetworkOutputs, channels: number) =>
    // The backward pass lets go of what it was given.
    madeTensor(`seed/${name}`, [...map, channels], -LARGEST_SEED, LARGEST_SEED).hold();
  const seeds: Seeds = {
    logits: seed('logits', workload.classes),
    aux: seed('aux', workload.classes),
    feature: seed('feature', network.featureChannels),
  };
  let steps = 0;

  function step(dropout: ForwardContext['dropoutSeed'], seen?: Seen): Timing {
    const staged = new StagedBuffers();
    return scope(() => {
      const begin = performance.now();
      const gradients = scope(() => pass(dropout, staged, seen));
      const between = performance.now();
      seen?.gradients(gradients);
      optimizer.apply(gradients, schedule.learningRate, 0);
      staged.commit();
      steps += 1;
      return { pass: between - begin, update: performance.now() - between };
    });
  }

  function pass(
    dropout: ForwardContext['dropoutSeed'],
    staged: StagedBuffers,
    seen?: Seen,
  ): Map<Parameter, Tensor> {
    const tape = new Tape(true);
    try {
      const context = { tape, training: true, dropoutSeed: dropout, staged };
      const outputs = network.forward(context, tape.constant(student.image_NHWC));
      seen?.outputs(outputs);
      const seeded = presentOutputs(outputs).map(([name, each]) => [each, seeds[name]] as const);
      return tape.backward(seeded).parameters;
    } finally {
      tape.dispose();
    }
  }

  return {
    check: () => checkOf(network.parameters(), (seen) => step(null, seen)),
    step() {
      const number = steps;
      return step((layer) => dropoutSeed!(number, 0, layer));
    },
  };
}

function checkOf(parameters: readonly Parameter[], step: (seen: Seen) => void): Check {
  const check: Record<string, number[]> = {};
  step({
    outputs(outputs) {
      for (const [name, output] of presentOutputs(outputs)) {
        check[name] = sampled(readFloat32(output.value));
      }
    },
    gradients(gradients) {
      const norm = (each: Parameter) => euclideanNorm(readFloat32(gradients.get(each)!));
      check['gradient norms'] = parameters.map(norm);
    },
  });
  const norms = parameters.map((each) => euclideanNorm(each.toFloat32()));
  return { ...check, 'weight norms after the update': norms };
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
