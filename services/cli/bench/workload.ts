/** What is measured: a network, the size of its input, and with which losses it trains. */
import { loadConfig } from '../../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../../src/config/student.js';

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
  /** labels: task alone. cirkd: every term, against random outputs of a teacher. */
  readonly loss: 'labels' | 'cirkd';
  /** Of the teacher's feature. */
  readonly teacherChannels: number;
  /** Rows of each class in the memory banks. */
  readonly bankRows: { readonly pixel: number; readonly region: number };
}

/** Of the paper's trainer. */
export const PAPER_BANK_ROWS = { pixel: 20_000, region: 2000 } as const;

/** Far more than are measured: the learning rate stays about what it is at the start. */
const SCHEDULED_STEPS = 10_000;
const SEED = 1;

/**
 * The config of a run that trains so, all else by default: the paper's weights, temperatures and
 * bank sizes. Throws ConfigError naming the key that can't be had.
 */
export function configOf(workload: Workload): StudentConfig {
  const { model, backbone, variant, widthMultiplier } = workload;
  const { images, height, width, bankRows } = workload;
  const scenes = (seed: number) => ({ kind: 'synthetic', samples: 1, seed });
  const text = JSON.stringify({
    seed: SEED,
    // Named because a config has to: the measured input is made here.
    data: { train: scenes(1), val: scenes(2), crop: { height, width } },
    student: { model, backbone, variant, widthMultiplier },
    train: { steps: SCHEDULED_STEPS, batchSize: images },
    memory: { pixelMemorySize: bankRows.pixel, regionMemorySize: bankRows.region },
  });
  return loadConfig(studentSchema, { text, fileName: 'cirkd bench' });
}
