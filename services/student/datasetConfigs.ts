/** The config's datasets as the data layer takes them. */
import type { StudentConfig } from '../../src/config/student.js';
import type { DatasetConfig } from '../../src/data/datasets.js';

export function trainingConfig({ data }: StudentConfig): DatasetConfig {
  return { ...data.train, split: 'train' };
}

export function validationConfig({ data }: StudentConfig): DatasetConfig {
  return { ...data.val, split: 'val' };
}
