// Settings that TensorFlow reads once, when its library is loaded: they must be in the environment
// before that. bin.mjs applies them first of all.
//
//   TF_ENABLE_ONEDNN_OPTS       1 unless set: without AVX-512 TensorFlow's default leaves oneDNN's
//                               faster matrix products off (docs/performance.md)
//   TF_FORCE_GPU_ALLOW_GROWTH   true unless set: take GPU memory as it is needed, not all of it
//   CIRKD_GPU_MEMORY_MIB        limit on the memory used of each visible GPU
//
// libtensorflow has no variable for a limit, and tfjs-node gives no access to its ConfigProto. But
// TF_DEVICE_MIN_SYS_MEMORY_IN_MB is subtracted from the memory that is free at the start. So it is set
// to free - limit, with the free memory that nvidia-smi reports. One value applies to all GPUs, so the
// GPU with the most free memory decides, and no GPU exceeds the limit. TensorFlow measures after it
// has made its CUDA context (a few hundred MiB), which therefore counts towards the limit.
import { spawnSync } from 'node:child_process';

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {(env: NodeJS.ProcessEnv) => number[]} [freeMemory] MiB free on each visible GPU
 * @returns {Record<string, string>} variables to add to the environment
 * @throws {Error} named ConfigError, if CIRKD_GPU_MEMORY_MIB isn't a positive whole number
 */
export function engineEnvironment(env, freeMemory = freeGpuMemoryMib) {
  /** @type {Record<string, string>} */
  const added = {};
  if (!env.TF_ENABLE_ONEDNN_OPTS) added.TF_ENABLE_ONEDNN_OPTS = '1';
  if (!env.TF_FORCE_GPU_ALLOW_GROWTH) added.TF_FORCE_GPU_ALLOW_GROWTH = 'true';
  if (!env.TF_CPP_MIN_LOG_LEVEL) added.TF_CPP_MIN_LOG_LEVEL = '2';
  const limit = env.CIRKD_GPU_MEMORY_MIB;
  if (!limit) return added;
  if (!/^[1-9]\d*$/.test(limit)) {
    const error = new Error(
      `CIRKD_GPU_MEMORY_MIB is '${limit}'; wanted a whole number of MiB above 0.`,
    );
    error.name = 'ConfigError';
    throw error;
  }
  const free = Math.max(0, ...freeMemory(env));
  if (free > Number(limit)) {
    added.TF_DEVICE_MIN_SYS_MEMORY_IN_MB = String(free - Number(limit));
  }
  return added;
}

/**
 * @param {NodeJS.ProcessEnv} env `CUDA_VISIBLE_DEVICES` restricts which GPUs count
 * @returns {number[]} MiB free on each visible GPU; empty without a GPU or nvidia-smi
 */
function freeGpuMemoryMib(env) {
  const visible = env.CUDA_VISIBLE_DEVICES;
  if (visible === '' || visible === '-1') return [];
  const { status, stdout } = spawnSync(
    'nvidia-smi',
    [
      ...['--query-gpu=memory.free', '--format=csv,noheader,nounits'],
      ...(visible === undefined ? [] : [`--id=${visible}`]),
    ],
    { encoding: 'utf8', timeout: 10_000 },
  );
  if (status !== 0) return [];
  return stdout.trim().split('\n').map(Number).filter(Number.isFinite);
}
