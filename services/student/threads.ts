/** How many threads one operation has: a number of the run, since it decides the last bits of sums. */
import { availableParallelism } from 'node:os';
import { loadConfig } from '../../src/config/load.js';
import { type StudentConfig, studentSchema } from '../../src/config/student.js';
import type { Manifest } from '../../src/run/manifest.js';

/** The most that the schema takes. */
const MAX_THREADS = 1024;

/** The config with train.threads 0 made a number: the saved one, else one a core. */
export function resolveThreads(config: StudentConfig, saved: number | null): StudentConfig {
  const { train } = config;
  if (train.threads > 0) return config;
  const threads = saved ?? Math.min(availableParallelism(), MAX_THREADS);
  return { ...config, train: { ...train, threads } };
}

/** What a run began with: from its checkpoint, before the first one from its config.yaml. */
export function savedThreads(manifest: Manifest | null, configText: string): number | null {
  const threads = manifest === null ? threadsIn(configText) : trainOf(manifest.config)?.threads;
  return typeof threads === 'number' && threads > 0 ? threads : null;
}

function threadsIn(configText: string): number | null {
  try {
    const config = loadConfig(studentSchema, { text: configText, fileName: 'config.yaml' });
    return config.train.threads;
  } catch {
    // Torn, or of another version: nothing that a run without a checkpoint depends on.
    return null;
  }
}

function trainOf(config: Record<string, unknown>): { readonly threads?: unknown } | undefined {
  const { train } = config;
  return train !== null && typeof train === 'object' ? train : undefined;
}

/** Read by TensorFlow when the computing thread opens it: to be called before. */
export function setTensorflowThreads({ train }: StudentConfig): void {
  process.env.TF_NUM_INTRAOP_THREADS = String(train.threads);
}
