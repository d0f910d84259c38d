/** Which outputs a trial image asks for. */
import type { StatedTensor } from './serverFacts.js';
import { NO_FEATURE, type OipSettings } from './settings.js';

/** Names by which a feature is known, the first set that a model has: see modelOutputs.ts. */
const FEATURES: readonly (readonly string[])[] = [['embedding', 'feature_norm'], ['feature']];

/**
 * Names of those that images will be asked for, where names tell them; else all that are stated, or none,
 * which is all that the server has by default. A model may have large outputs that nobody needs.
 */
export function trialOutputs(
  stated: readonly StatedTensor[],
  settings: Pick<OipSettings, 'logits' | 'feature'>,
): string[] {
  const names = stated.map(({ name }) => name);
  const logits = settings.logits ?? 'logits';
  const feature = featureNames(names, settings.feature);
  if (feature === undefined) return names;
  const known = [logits, ...feature];
  return known.every((name) => names.includes(name)) ? known : names;
}

function featureNames(
  names: readonly string[],
  given: string | null,
): readonly string[] | undefined {
  if (given === NO_FEATURE) return [];
  if (given !== null) return [given];
  return FEATURES.find((each) => each.every((name) => names.includes(name)));
}
