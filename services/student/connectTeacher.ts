/** The teachers of a run, checked against what the student needs. */
import { ConfigError } from '../../src/config/configError.js';
import type { StudentConfig } from '../../src/config/student.js';
import type { Dataset } from '../../src/data/types.js';
import type { Teacher } from '../../src/distill/teacher.js';
import { drawsFor } from '../../src/random/draws.js';
import type { TeacherState } from '../../src/stream/clientOptions.js';
import { connectTeachers, type RemoteTeacher } from '../../src/stream/remoteTeacher.js';
import type { OpenedRun } from './openRun.js';
import type { Reporting } from './reporting.js';

/** Stride of every network of the zoo, so of the labels that the losses see. */
const OUTPUT_STRIDE = 8;

/** States that a run's log keeps; between them a teacher that is away is tried again and again. */
const TOLD_STATES: ReadonlySet<TeacherState['state']> = new Set([
  'ready',
  'draining',
  'refused',
  'closed',
]);

/**
 * null when the config names no teacher. Throws TeacherUnavailableError; ContractMismatchError:
 * classes and stride are the student's, the digest that of the config or, on resume, of the
 * checkpoint; ConfigError where an answer is larger than what may be under way.
 */
export async function connectTeacher(
  config: StudentConfig,
  { dataset, run, reporting }: { dataset: Dataset; run: OpenedRun; reporting: Reporting },
): Promise<Teacher | null> {
  const { teacher } = config;
  if (teacher.addresses.length === 0) return null;
  const { metrics, log } = reporting;
  const jitter = drawsFor(config.seed, 'jitter');
  const remote = await connectTeachers({
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
    onTeacher: teacherNews(reporting, run),
  });
  try {
    checkRoom(config, remote);
    return remote;
  } catch (error) {
    await remote.close();
    throw error;
  }
}

/** Tells what changes about a teacher, once: not each try to reach one that is away. */
function teacherNews({ log, events }: Reporting, run: OpenedRun): (state: TeacherState) => void {
  const told = new Map<string, string>();
  return (news) => {
    const { address, state, detail } = news;
    const words = `${state} ${detail}`;
    const lost = state === 'backoff' && /^(ready|draining) /.test(told.get(address) ?? '');
    if (told.get(address) === words || !(lost || TOLD_STATES.has(state))) {
      log.debug({ ...news }, 'teacher');
      return;
    }
    told.set(address, words);
    log[state === 'ready' || state === 'closed' ? 'info' : 'warn']({ ...news }, 'teacher');
    events.append({ kind: 'teacher', step: run.checkpoint?.manifest.step ?? 0, ...news });
  };
}

function checkRoom({ data, teacher }: StudentConfig, remote: RemoteTeacher): void {
  const { height, width } = data.crop;
  const wanted = Math.ceil(remote.inflightBytesFor({ height, width }) / 2 ** 20);
  if (wanted <= teacher.maxInflightMiB) return;
  throw new ConfigError('teacher', [
    {
      key: 'teacher.maxInflightMiB',
      line: null,
      override: null,
      message: `got ${teacher.maxInflightMiB}, wanted at least ${wanted}: the answer to a crop of ${height} x ${width}`,
    },
  ]);
}
