/** The teachers of a run, checked against what the student needs. */
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';
import type { Teacher } from '../../src/distill/teacher.js';
import { drawsFor } from '../../src/random/draws.js';
import { connectTeachers } from '../../src/stream/remoteTeacher.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';

/** Stride of every network of the zoo, so of the labels that the losses see. */
const OUTPUT_STRIDE = 8;

/**
 * null when the config names no teacher. Throws TeacherUnavailableError, ContractMismatchError:
 * classes and stride are the student's, digest and channels those of the config or, on resume, of
 * the checkpoint.
 */
export async function connectTeacher(
  config: StudentConfig,
  { dataset, run, reporting }: { dataset: Dataset; run: OpenedRun; reporting: Reporting },
): Promise<Teacher | null> {
  const { teacher } = config;
  if (teacher.addresses.length === 0) return null;
  const { metrics, log, events } = reporting;
  const jitter = drawsFor(config.seed, 'jitter');
  const steps = () => run.checkpoint?.manifest.step ?? 0;
  return connectTeachers({
    addresses: teacher.addresses,
    runId: run.id,
    encoding: teacher.encoding,
    expected: {
      classes: dataset.classNames.length,
      outputStride: OUTPUT_STRIDE,
      digest: run.checkpoint?.manifest.teacherDigest ?? teacher.digest,
    },
    requestTimeoutMs: teacher.requestTimeoutMs,
    teacherTimeoutMs: teacher.teacherTimeoutMs,
    maxInflightBytes: teacher.maxInflightMiB * 2 ** 20,
    jitter: () => jitter.uniform(),
    onRequeued(reason, detail) {
      metrics.requeued.inc({ reason });
      log.warn({ reason, detail }, 'asked for again');
    },
    onReceivedBytes: (bytes) => metrics.receivedBytes.inc(bytes),
    onInflightBytes: (bytes) => metrics.inflightBytes.set(bytes),
    onTeacher(state) {
      log.info({ ...state }, 'teacher');
      events.append({ kind: 'teacher', step: steps(), ...state });
    },
  });
}
