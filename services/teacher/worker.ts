/**
 * The inference thread: loads the network, warms it up, says that it is ready, then answers one
 * batch after the other.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { computeInBackground } from '../../src/data/threadPriority.js';
import { type EncodedOutput, OUTPUTS } from '../../src/contract/outputs.js';
import { RefusedImageError } from '../../src/contract/inference.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { firstNonFinite } from '../../src/wire/checkTensor.js';
import { FaultInjector } from './faultInjector.js';
import { loadNetwork } from './loadNetwork.js';
import type {
  FailureReason,
  InferMessage,
  Network,
  WorkerMessage,
  WorkerResult,
  WorkerSetup,
} from './workerProtocol.js';

const port = parentPort;
if (!port) throw new Error('worker.ts runs in a worker thread only');

computeInBackground();
const setup = workerData as WorkerSetup;
const faults = new FaultInjector(setup.faults);

try {
  const network = await loadNetwork(setup.source);
  await warmUp(network, setup);
  let last = Promise.resolve();
  port.on('message', (message: InferMessage) => {
    // A network may let go of the thread meanwhile: a batch begins when the one before is done.
    last = last.then(() => answer(network, message));
  });
  post({ kind: 'ready', info: network.info, classifier: network.classifier() });
} catch (error) {
  const { name, message, code } = error as NodeJS.ErrnoException;
  post({ kind: 'unusable', error: { name, message, code } });
}

async function warmUp(network: Network, { warmUp, warmUpOutputs }: WorkerSetup): Promise<void> {
  const hasFeature = network.info.featureChannels > 0;
  const outputs = warmUpOutputs.filter(({ output }) => hasFeature || !OUTPUTS[output].isOfFeature);
  for (const [height, width] of warmUp) {
    const rgb = new Uint8Array(height * width * 3);
    const [result] = await network.infer([{ height, width, rgb }], outputs);
    // Every student's image of this size would be refused.
    if (result instanceof RefusedImageError) throw new CheckpointError(`warmUp: ${result.message}`);
  }
}

/** A network that fails on a batch fails it as a whole: who asks knows what to try next. */
async function answer(network: Network, { job, images, outputs }: InferMessage): Promise<void> {
  let results: WorkerResult[];
  try {
    results = (await network.infer(images, outputs)).map(toResult);
  } catch (error) {
    post({ kind: 'failed', job, message: (error as Error).stack ?? String(error) });
    return;
  }
  const moved = results.flatMap((result) =>
    'outputs' in result ? result.outputs.map(({ tensor }) => tensor.data) : [],
  );
  post({ kind: 'done', job, results }, moved);
}

function toResult(answer: EncodedOutput[] | Error): WorkerResult {
  if (answer instanceof RefusedImageError) return failed('refused', answer.message);
  if (answer instanceof Error) return failed('non_finite', answer.message);
  const faulty = faults.apply(answer);
  if (faulty instanceof Error) return failed('failed', faulty.message);
  // The network has checked its own numbers; those of a fault on purpose go the same way.
  return (faults.writesNaN && findNonFinite(faulty)) || { outputs: faulty };
}

function findNonFinite(outputs: readonly EncodedOutput[]): WorkerResult | undefined {
  for (const { output, tensor } of outputs) {
    const index = firstNonFinite(tensor);
    if (index >= 0) {
      return failed('non_finite', `non-finite ${output}: element ${index} of [${tensor.shape}]`);
    }
  }
  return undefined;
}

function failed(reason: FailureReason, message: string): WorkerResult {
  return { failure: { reason, message } };
}

function post(message: WorkerMessage, moved: ArrayBuffer[] = []): void {
  port?.postMessage(message, moved);
}
