/**
 * TF_CONFIG: the environment variable by which Kubeflow's operators, and others, tell a process of TensorFlow its
 * place in a group. Format: https://www.tensorflow.org/guide/distributed_training (TF_CONFIG).
 */
import { z } from 'zod';
import { ConfigError } from './configError.js';

const addresses = z.array(z.string().min(1)).min(1);

const schema = z.object({
  cluster: z.record(z.string(), addresses),
  task: z.object({ type: z.string().min(1), index: z.number().int().min(0) }),
});

/** Jobs whose tasks train; the first of them, if there is one, is rank 0. */
const FIRST_JOBS = ['chief', 'master'];
const JOB = 'worker';

export interface TfConfig {
  /** host:port of every rank. */
  readonly workers: readonly string[];
  readonly index: number;
}

/** Throws ConfigError that names the field. */
export function parseTfConfig(text: string): TfConfig {
  const given = parsed(text);
  const { cluster, task } = given;
  for (const job of Object.keys(cluster)) {
    if (job === JOB || FIRST_JOBS.includes(job) || job === 'evaluator') continue;
    throw fault(`cluster.${job}`, `got a job, wanted only ${[...FIRST_JOBS, JOB].join(', ')}`);
  }
  const first = FIRST_JOBS.filter((job) => cluster[job] !== undefined);
  const chiefs = first.flatMap((job) => cluster[job]!);
  if (chiefs.length > 1) {
    throw fault(`cluster.${first[0]}`, `got ${chiefs.length} addresses in all, wanted one`);
  }
  const workers = [...chiefs, ...(cluster[JOB] ?? [])];
  if (workers.length === 0)
    throw fault(`cluster.${JOB}`, 'got nothing, wanted a list of host:port');
  return { workers, index: indexOf(task, cluster[task.type], chiefs.length) };
}

function indexOf(
  { type, index }: z.infer<typeof schema>['task'],
  ofType: readonly string[] | undefined,
  chiefs: number,
): number {
  const isFirst = FIRST_JOBS.includes(type);
  if (ofType === undefined || !(isFirst || type === JOB)) {
    throw fault('task.type', `got ${type}, wanted a job of cluster that trains`);
  }
  if (index >= ofType.length) {
    throw fault('task.index', `got ${index}, wanted 0 to ${ofType.length - 1}: cluster.${type}`);
  }
  return isFirst ? 0 : chiefs + index;
}

function parsed(text: string): z.infer<typeof schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fault('', `got no JSON: ${(error as Error).message}`);
  }
  if (value !== null && typeof value === 'object' && 'sparseCluster' in value) {
    const message = 'got an object, wanted cluster: the number of ranks of a run is fixed';
    throw fault('sparseCluster', message);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => ({
    ...{ key: path.join('.'), line: null, override: null },
    message,
  }));
  throw new ConfigError('TF_CONFIG', faults);
}

function fault(key: string, message: string): ConfigError {
  return new ConfigError('TF_CONFIG', [{ key, line: null, override: null, message }]);
}
