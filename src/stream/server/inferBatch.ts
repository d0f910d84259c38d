/**
 * A batch through the network, with the isolation of requests kept: what fails as a whole is tried
 * again image by image, so that the guilty one fails alone.
 */
import type { EncodedOutput } from '../../contract/outputs.js';
import type { InferenceEngine } from './serving.js';
import type { QueuedRequest } from './turns.js';

export type Results = Array<EncodedOutput[] | Error>;

/** One call of the engine. */
export interface ForwardPass {
  readonly requests: readonly QueuedRequest[];
  readonly seconds: number;
  /** The engine took all of them for failed. */
  readonly fault?: Error;
}

/** Never rejects: a result or an Error for each of the requests, which have at least one. */
export async function inferBatch(
  engine: InferenceEngine,
  requests: readonly QueuedRequest[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results> {
  const whole = await inferOnce(engine, requests, onPass);
  if (!(whole instanceof Error)) return whole;
  if (requests.length === 1) return [whole];
  const results: Results = [];
  for (const request of requests) {
    // Nobody asks for the result of one whose client has left.
    const alone = request.isWanted() ? await inferOnce(engine, [request], onPass) : whole;
    results.push(alone instanceof Error ? alone : (alone[0] ?? whole));
  }
  return results;
}

async function inferOnce(
  engine: InferenceEngine,
  requests: readonly QueuedRequest[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results | Error> {
  const startedAtMs = performance.now();
  const seconds = () => (performance.now() - startedAtMs) / 1000;
  try {
    const images = requests.map(({ image }) => image);
    const results = await engine.infer(images, requests[0]?.outputs ?? []);
    onPass({ requests, seconds: seconds() });
    return results;
  } catch (error) {
    const fault = error instanceof Error ? error : new Error(String(error));
    onPass({ requests, seconds: seconds(), fault });
    return fault;
  }
}
