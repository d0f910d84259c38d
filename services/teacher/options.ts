/** Converts the config to the options of the parts. */
import type { TeacherConfig } from '../../src/config/teacher.js';
import type { Encoding, OutputRequest } from '../../src/contract/outputs.js';
import type { ServerLimits } from '../../src/stream/server/serving.js';
import { graphSource } from './graphSource.js';
import type { NetworkSource, WorkerSetup } from './workerProtocol.js';

const MIB = 1_048_576;

/** A client says hello at once; the limit allows for slow links. */
const HELLO_TIMEOUT_MS = 10_000;

/** Enough for a client that still reads to receive the rest of an ended stream. */
const CLOSE_GRACE_MS = 5000;

/** Allows for slow machines, and for networks that compile on their first batch. */
const MIN_BATCH_LIMIT_MS = 60_000;

export function serverLimits({ limits, requestTimeoutMs }: TeacherConfig): ServerLimits {
  return {
    maxQueueImages: limits.maxQueueImages,
    maxQueueBytes: limits.maxQueueMiB * MIB,
    maxImagePixels: limits.maxImagePixels,
    maxStreams: limits.maxStreams,
    maxInflightImages: limits.maxInflightImages,
    maxMessageBytes: limits.maxMessageMiB * MIB,
    uploadCreditBytes: limits.uploadCreditMiB * MIB,
    chunkBytes: limits.chunkBytes,
    maxAnswerBytes: limits.maxAnswerMiB * MIB,
    requestTimeoutMs,
    helloTimeoutMs: HELLO_TIMEOUT_MS,
    closeGraceMs: CLOSE_GRACE_MS,
  };
}

/** A batch that takes longer than any of its images may wait is considered hung. */
export function maxBatchMs({ requestTimeoutMs }: TeacherConfig): number {
  return Math.max(2 * requestTimeoutMs, MIN_BATCH_LIMIT_MS);
}

/** `processors`: those that all threads are to run on; null: any. `threads` inside one operation; 0: all cores. */
export function workerSetup(
  config: TeacherConfig,
  processors: readonly number[] | null,
  threads: number,
): WorkerSetup {
  return {
    source: networkSource({ ...config, threads }),
    processors,
    faults: config.faults,
    warmUp: config.warmUp,
    warmUpOutputs: config.encodings.flatMap(everyOutput),
  };
}

function networkSource({
  checkpoint,
  compute,
  graph,
  simulate,
  threads,
}: TeacherConfig): NetworkSource {
  if (checkpoint !== null) return { kind: 'checkpoint', path: checkpoint, products: compute };
  const source = graphSource(graph, threads);
  if (source !== null) return { kind: 'graph', ...source };
  const { enabled: _, ...sizes } = simulate;
  return { kind: 'simulate', ...sizes };
}

function everyOutput(encoding: Encoding): OutputRequest[] {
  if (encoding === 'int8') {
    return [
      { output: 'embedding', encoding },
      { output: 'embedding_scale', encoding: 'fp32' },
    ];
  }
  return [
    { output: 'logits', encoding },
    { output: 'embedding', encoding },
    { output: 'feature_norm', encoding: 'fp32' },
    { output: 'aux_norm', encoding: 'fp32' },
  ];
}
