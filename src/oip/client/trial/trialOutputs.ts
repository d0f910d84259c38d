/** Which outputs are asked for: with the trial image, and with each image of a run. */
import type { NeededOutput } from '../../../contract/outputs.js';
import type { ModelOutput, ModelOutputs } from '../modelOutputs.js';
import type { StatedTensor } from '../serverFacts.js';
import { NO_FEATURE, type OipSettings } from '../settings.js';

/** Names by which a feature is known, the first set that a model has: see modelOutputs.ts. */
const FEATURES: readonly (readonly string[])[] = [['embedding', 'feature_norm'], ['feature']];

export interface TrialOutputs {
  /** None: all that the server has by default. */
  readonly names: readonly string[];
  /** Whether all of them are needed: an answer without one is no answer. */
  readonly areNeeded: boolean;
}

/**
 * Those that images will be asked for, where names tell them; else all that are stated. A model may have
 * large outputs that nobody needs, and state some that it doesn't give.
 */
export function trialOutputs(
  stated: readonly StatedTensor[],
  settings: Pick<OipSettings, 'logits' | 'feature'>,
  needsFeature: boolean,
): TrialOutputs {
  const names = stated.map(({ name }) => name);
  const logits = settings.logits ?? 'logits';
  const feature = needsFeature ? featureNames(names, settings.feature) : [];
  const known = [logits, ...(feature ?? [])];
  if (feature !== undefined && known.every((name) => names.includes(name))) {
    return { names: known, areNeeded: true };
  }
  return { names, areNeeded: false };
}

/** The outputs that are the feature, as far as names tell it; undefined: they don't. */
export function featureNames(
  names: readonly string[],
  given: string | null,
): readonly string[] | undefined {
  if (given === NO_FEATURE) return [];
  if (given !== null) return [given];
  return FEATURES.find((each) => each.every((name) => names.includes(name)));
}

/** The outputs that an image is asked for: those from which what the student needs can be made. */
export function askedOutputs(
  { outputs }: Pick<ModelOutputs, 'outputs'>,
  needed: readonly NeededOutput[],
): ModelOutput[] {
  return outputs.filter(({ role }) =>
    role === 'feature'
      ? needed.includes('embedding') || needed.includes('feature_norm')
      : needed.includes(role),
  );
}

/** The outputs as which an answer travels: a raw feature is as large as an embedding. */
export function travellingOutputs(asked: readonly ModelOutput[]): NeededOutput[] {
  return asked.map(({ role }) => (role === 'feature' ? 'embedding' : role));
}
