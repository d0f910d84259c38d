/** Which outputs a trial image asks for. */
import type { StatedTensor } from './serverFacts.js';
import { NO_FEATURE, type OipSettings } from './settings.js';

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
 * large outputs that nobody needs.
 */
export function trialOutputs(
  stated: readonly StatedTensor[],
  settings: Pick<OipSettings, 'logits' | 'feature'>,
): TrialOutputs {
  const names = stated.map(({ name }) => name);
  const logits = settings.logits ?? 'logits';
  const feature = featureNames(names, settings.feature);
  const known = [logits, ...(feature ?? [])];
  if (feature !== undefined && known.every((name) => names.includes(name))) {
    return { names: known, areNeeded: true };
  }
  return { names, areNeeded: false };
}

function featureNames(
  names: readonly string[],
  given: string | null,
): readonly string[] | undefined {
  if (given === NO_FEATURE) return [];
  if (given !== null) return [given];
  return FEATURES.find((each) => each.every((name) => names.includes(name)));
}
