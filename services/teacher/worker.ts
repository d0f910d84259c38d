/**
 * Entry of the inference thread: loads the network and warms it up, then answers one batch after the
 * other.
 */
import { NonFiniteOutputError, RefusedImageError } from '../../src/contract/inference.js';
import { type EncodedOutput, hasOutput } from '../../src/contract/outputs.js';
import { serveCalls } from '../../src/threads/serveCalls.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { firstNonFinite } from '../../src/wire/checkTensor.js';
import { FaultInjector } from './faultInjector.js';
import { loadNetwork } from './loadNetwork.js';
import { INFERENCE, type Network, type WorkerSetup } from './workerProtocol.js';

interface Open {
  readonly network: Network;
  readonly faults: FaultInjector;
}

let opened: Open | undefined;

serveCalls(INFERENCE, {
  async open(setup) {
    if (setup.processors !== null) await pin(setup.processors);
    const network = await loadNetwork(setup.source);
    await warmUp(network, setup);
    opened = { network, faults: new FaultInjector(setup.faults) };
    const { info, batchPixels, computes } = network;
    return {
      ...{ info, batchPixels, classifier: network.classifier() },
      ...(computes === undefined ? {} : { computes }),
    };
  },
  async infer(images, outputs) {
    if (opened === undefined) throw new Error('the inference thread: infer() called before open()');
    const { network, faults } = opened;
    return (await network.infer(images, outputs)).map((answer) => toResult(answer, faults));
  },
});

/** Before the network is loaded: its memory should be near the processors that will use it. */
async function pin(processors: readonly number[]): Promise<void> {
  const { useProcessors } = await import('../../src/tensor/index.js');
  useProcessors(processors);
}

async function warmUp(network: Network, { warmUp, warmUpOutputs }: WorkerSetup): Promise<void> {
  const outputs = warmUpOutputs.filter(({ output }) => hasOutput(network.info, output));
  for (const [height, width] of warmUp) {
    const rgb = new Uint8Array(height * width * 3);
    const [result] = await network.infer([{ height, width, rgb }], outputs);
    // The network would refuse every image of this size.
    if (result instanceof RefusedImageError) throw new CheckpointError(`warmUp: ${result.message}`);
  }
}

function toResult(answer: EncodedOutput[] | Error, faults: FaultInjector): EncodedOutput[] | Error {
  if (answer instanceof Error) return answer;
  const faulty = faults.apply(answer);
  if (faulty instanceof Error) return faulty;
  // The network has checked its own numbers; injected NaNs are checked the same way.
  return (faults.writesNaN && findNonFinite(faulty)) || faulty;
}

function findNonFinite(outputs: readonly EncodedOutput[]): NonFiniteOutputError | undefined {
  for (const { output, tensor } of outputs) {
    const index = firstNonFinite(tensor);
    if (index >= 0) {
      return new NonFiniteOutputError(
        `non-finite ${output}: element ${index} of [${tensor.shape}]`,
      );
    }
  }
  return undefined;
}
