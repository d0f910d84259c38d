/**
 * A batch through the network, with the isolation of requests kept: what fails as a whole is tried
 * again image by image, so that the guilty one fails alone.
 */
import type { InferenceEngine } from './engine.js';
import type { EncodedOutput } from '../contract/outputs.js';
import type { Work } from './work.js';

export type Results = Array<EncodedOutput[] | Error>;

/** One call of the engine. */
export interface ForwardPass {
  readonly works: readonly Work[];
  readonly seconds: number;
  /** The engine took all of them for failed. */
  readonly fault?: Error;
}

/** Never rejects: a result or an Error for each of the works, which have at least one. */
export async function inferBatch(
  engine: InferenceEngine,
  works: readonly Work[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results> {
  const whole = await inferOnce(engine, works, onPass);
  if (!(whole instanceof Error)) return whole;
  if (works.length === 1) return [whole];
  const results: Results = [];
  for (const work of works) {
    // Nobody asks for the result of one whose client has left.
    const alone = work.isWanted() ? await inferOnce(engine, [work], onPass) : whole;
    results.push(alone instanceof Error ? alone : (alone[0] ?? whole));
  }
  return results;
}

async function inferOnce(
  engine: InferenceEngine,
  works: readonly Work[],
  onPass: (pass: ForwardPass) => void,
): Promise<Results | Error> {
  const startedAtMs = performance.now();
  const seconds = () => (performance.now() - startedAtMs) / 1000;
  try {
    const images = works.map(({ image }) => image);
    const results = await engine.infer(images, works[0]?.outputs ?? []);
    onPass({ works, seconds: seconds() });
    return results;
  } catch (error) {
    const fault = error instanceof Error ? error : new Error(String(error));
    onPass({ works, seconds: seconds(), fault });
    return fault;
  }
}
