/** op `recipe`: a tensor from its formula, bit for bit. */
import { fnv1a } from '../../random/fnv1a.js';
import { type GoldenCase, GoldenError, type OperationResult } from '../operation.js';
import { recipeTensor } from '../recipe.js';

export function recipe(golden: GoldenCase): OperationResult {
  const salt = golden.text('salt');
  const name = golden.text('name');
  const hash = fnv1a(`${salt}/${name}`);
  if (golden.params.fnv1a !== undefined && hash !== golden.number('fnv1a')) {
    throw new GoldenError(`${golden.name}: fnv1a is ${hash}, wanted ${golden.number('fnv1a')}`);
  }
  const tensor = recipeTensor({
    salt,
    name,
    shape: golden.params.shape as number[],
    low: golden.number('low'),
    high: golden.number('high'),
  });
  return new Map([['values', tensor]]);
}
