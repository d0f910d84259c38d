/** loss.classWeights: checked against the classes of the data, or computed from counted pixels. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';

/** What is read of `cirkd check-data --json`. */
const countsSchema = z.object({
  datasets: z
    .array(
      z.object({
        name: z.string(),
        classes: z.array(z.object({ name: z.string(), share: z.number().min(0).max(1) })),
      }),
    )
    .min(1),
});

type Classed = Pick<Dataset, 'classNames'>;

/**
 * The config with `loss.classWeights` computed, if `loss.classCounts` names a file. They are saved with the run, and
 * a resumed run must have the same ones. Throws ConfigError.
 */
export function withClassWeights(config: StudentConfig, { classNames }: Classed): StudentConfig {
  const { classWeights, classCounts, classWeighting } = config.loss;
  if (classCounts === null) {
    if (classWeights !== null) check(classWeights, classNames);
    return config;
  }
  if (classWeights !== null) {
    throw fault('classWeights', 'got numbers, wanted null: loss.classCounts is given');
  }
  const shares = sharesIn(classCounts, classNames);
  const weights = shares.map((share) => weightOf(share, classNames.length, classWeighting));
  return { ...config, loss: { ...config.loss, classWeights: weights, classCounts: null } };
}

function check(weights: readonly number[], classNames: readonly string[]): void {
  if (weights.length !== classNames.length) {
    const wanted = `one for each of data.train's ${classNames.length} classes`;
    throw fault('classWeights', `got ${weights.length} numbers, wanted ${wanted}`);
  }
  if (weights.every((weight) => weight === 0)) {
    throw fault('classWeights', 'got only 0, wanted at least one number above 0');
  }
}

function weightOf(share: number, classes: number, weighting: 'log' | 'inverse'): number {
  if (weighting === 'log') return 1 / Math.log(1.02 + share);
  // Of a class without a pixel, no pixel asks for the weight.
  return share === 0 ? 0 : 1 / (classes * share);
}

/** Of data.train, or of the only dataset in the file. */
function sharesIn(file: string, classNames: readonly string[]): number[] {
  let parsed: z.infer<typeof countsSchema>;
  try {
    parsed = countsSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    const reason = error instanceof z.ZodError ? 'other fields' : (error as Error).message;
    throw fault('classCounts', `${file}: not the output of check-data --json: ${reason}`);
  }
  const { datasets } = parsed;
  const { classes } = datasets.find(({ name }) => name === 'data.train') ?? datasets[0]!;
  const names = classes.map(({ name }) => name);
  if (names.join('\n') !== classNames.join('\n')) {
    throw fault(
      'classCounts',
      `${file}: got the classes ${shown(names)}, wanted data.train's, ${shown(classNames)}`,
    );
  }
  return classes.map(({ share }) => share);
}

function shown(names: readonly string[]): string {
  const first = names.slice(0, 4).join(', ');
  return names.length > 4 ? `${first} … (${names.length})` : first;
}

function fault(key: string, message: string): ConfigError {
  return new ConfigError('loss', [{ key: `loss.${key}`, line: null, override: null, message }]);
}
