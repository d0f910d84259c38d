/** The subject of a measurement: a network, the size of its input, and its training losses. */
import { loadConfig } from '../../../src/config/load.js';
import type { StudentConfig } from '../../../src/config/student.js';
import { studentSchema } from '../../program/studentSchema.js';

export interface Workload {
  readonly model: StudentConfig['student']['model'];
  readonly backbone: string;
  readonly variant: StudentConfig['student']['variant'];
  readonly widthMultiplier: number;
  readonly classes: number;
  /** Images in a batch. */
  readonly images: number;
  /** Pixels. */
  readonly height: number;
  readonly width: number;
  /** labels: only the task loss. cirkd: every term, against random teacher outputs. */
  readonly loss: 'labels' | 'cirkd';
  /** Channels of the teacher's feature. */
  readonly teacherChannels: number;
  /** Rows per class in the memory banks. */
  readonly bankRows: { readonly pixel: number; readonly region: number };
  /** train.recompute; absent: its default. */
  readonly recompute?: boolean;
}

/** The bank sizes of the paper's trainer. */
export const PAPER_BANK_ROWS = { pixel: 20_000, region: 2000 } as const;

/** Far more than are measured, so that the learning rate stays close to its initial value. */
const SCHEDULED_STEPS = 10_000;
const SEED = 1;

/**
 * The config of a run with this workload; all else has its default: the paper's weights, temperatures
 * and bank sizes. Throws ConfigError naming an invalid key.
 */
export function configOf(workload: Workload): StudentConfig {
  const { model, backbone, variant, widthMultiplier } = workload;
  const { images, height, width, bankRows, recompute } = workload;
  const scenes = (seed: number) => ({ kind: 'synthetic', samples: 1, seed });
  const text = JSON.stringify({
    seed: SEED,
    // Required by the schema but unused: the measured input is made here.
    data: { train: scenes(1), val: scenes(2), crop: { height, width } },
    student: { model, backbone, variant, widthMultiplier },
    train: { steps: SCHEDULED_STEPS, batchSize: images, recompute },
    memory: { pixelMemorySize: bankRows.pixel, regionMemorySize: bankRows.region },
  });
  return loadConfig(studentSchema, { text, fileName: 'cirkd bench' });
}
