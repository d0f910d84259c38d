/** The optimizer of a config, with the groups of parameters that AdamW tells apart. */
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import { isOfBackbone } from '../../src/models/backboneNames.js';
import type { Parameter } from '../../src/tensor/index.js';
import { AdamW, type ParameterGroup } from '../../src/train/adamW.js';
import type { Optimizer } from '../../src/train/optimizer.js';
import { Sgd } from '../../src/train/sgd.js';

/** Throws ConfigError for a part of names in `train.undecayed` that no parameter has. */
export function optimizerOf(config: StudentConfig, parameters: readonly Parameter[]): Optimizer {
  const { train } = config;
  if (train.optimizer === 'sgd') return new Sgd(parameters, train);
  for (const part of train.undecayed) {
    if (parameters.some(({ name }) => name.includes(part))) continue;
    const message = `got ${JSON.stringify(part)}, wanted a part of some parameter's name`;
    throw new ConfigError('config', [
      { key: 'train.undecayed', line: null, override: null, message },
    ]);
  }
  return new AdamW(parameters, train, (parameter) => groupOf(config, parameter));
}

export function groupOf(
  { train, student }: StudentConfig,
  { name, shape }: Pick<Parameter, 'name' | 'shape'>,
): ParameterGroup {
  // Biases, and scales and offsets of norms, are vectors.
  const isMatrix = shape.length > 1;
  return {
    rateFactor: isOfBackbone(student.model, name) ? 1 : train.headRateFactor,
    isDecayed:
      (train.decayVectors || isMatrix) && !train.undecayed.some((part) => name.includes(part)),
  };
}
