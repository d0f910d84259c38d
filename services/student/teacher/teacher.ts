/**
 * The teachers of a run: connected, and checked against the student's requirements.
 */
import type { StudentConfig } from '../../../src/config/student.js';
import { ContractMismatchError, type Teacher } from '../../../src/contract/teacher.js';
import type { Dataset } from '../../../src/data/types.js';
import { outputStrideOf } from '../../../src/models/zoo.js';
import { oipEntry } from '../../../src/oip/client/address.js';
import { drawsFor } from '../../../src/random/draws.js';
import {
  type ClientSecurity,
  openClientSecurity,
} from '../../../src/rpc/security/clientSecurity.js';
import { parseDnsName } from '../../../src/rpc/target.js';
import type { Manifest } from '../../../src/run/manifest.js';
import type {
  AttemptEvent,
  ClientOptions,
  TeacherState,
} from '../../../src/stream/client/options.js';
import { connectTeachers, type RemoteTeacher } from '../../../src/stream/client/remoteTeacher.js';
import type { Logger } from '../../../src/telemetry/log.js';
import { oipProtocol, withMissingKeys } from '../../program/oipProtocol.js';
import type { Reporting } from '../reporting.js';
import { neededOutputs } from './neededOutputs.js';
import { withStore } from './teacherStore.js';
import { logOutputs, teacherFault, withMissingFeature } from './teacherUse.js';

/** The states worth logging; the others repeat while an absent teacher is retried. */
const REPORTED_STATES: ReadonlySet<TeacherState['state']> = new Set([
  'ready',
  'draining',
  'leaving',
  'refused',
  'closed',
]);

/** The run whose teachers these are. */
interface TeachersRun {
  readonly id: string;
  /** Of the checkpoint that is resumed; null: none. */
  readonly manifest: Pick<Manifest, 'teacherDigest'> | null;
}

interface Parts {
  readonly dataset: Dataset;
  readonly run: TeachersRun;
  readonly reporting: Reporting;
  /** Ends the wait for a teacher: then connectTeacher rejects with the signal's reason. */
  readonly stop: AbortSignal;
}

/**
 * null when the config names no teacher, or nothing of it is used. Throws TeacherUnavailableError; ContractMismatchError if
 * classes or stride aren't the student's, the digest isn't that of the config and, on resume, of the
 * checkpoint, a teacher has no feature and nothing else is asked for, or either side refuses the other's certificate; ConfigError if an answer is larger
 * than the bound on answers in flight, a name can't be looked up, the folder of stored answers can't be
 * used or the teacher's digest is a derived one, or a server at an oip address doesn't say what teacher.oip leaves open; SecurityFileError.
 */
export async function connectTeacher(config: StudentConfig, parts: Parts): Promise<Teacher | null> {
  const { addresses } = config.teacher;
  if (addresses.length === 0) return null;
  checkNames(addresses);
  const outputs = neededOutputs(config);
  if (outputs.length === 0) {
    parts.reporting.log.warn({ addresses }, 'no term uses the teachers: they are not asked');
    return null;
  }
  const options = clientOptions(config, parts);
  const security = await openSecurity(config.teacher, parts.reporting);
  const oip = oipProtocol(config.teacher.oip, config.data.crop, true);
  let remote: RemoteTeacher | undefined;
  const close = async () => {
    await remote?.close();
    await oip.close();
    security.close();
  };
  try {
    const { credentials } = security;
    remote = await connectTeachers({ ...options, credentials }, parts.stop, [oip]);
    checkRoom(config, remote);
    logOutputs(remote, outputs, parts.reporting.log);
    return await withStore(closing(remote, close), remote, config, parts.reporting);
  } catch (error) {
    await close();
    throw withMissingKeys(withMissingFeature(error, config, outputs), oip);
  }
}

/** Opens the student's certificates and token for its teachers. Rejects with SecurityFileError. */
function openSecurity(
  { tls, tokenFile }: StudentConfig['teacher'],
  { metrics, log }: Pick<Reporting, 'metrics' | 'log'>,
): Promise<ClientSecurity> {
  const { ca, certificate, key } = tls;
  const named = (name: string, path: string) => ({ key: `teacher.${name}`, path });
  const identity =
    // The config's checks refuse one without the other.
    certificate === null || key === null
      ? null
      : {
          certificate: named('tls.certificate', certificate),
          key: named('tls.key', key),
        };
  return openClientSecurity({
    tls: ca === null ? null : { ca: named('tls.ca', ca), identity },
    token: tokenFile === null ? null : named('tokenFile', tokenFile),
    onCertificate: metrics.setCertificateExpiry,
    onReloaded: (keys) => log.info({ keys }, 'security files reloaded'),
    onExposed: (reason) => log.warn({ reason }, 'a secret is readable by every user'),
    onProblem: ({ message }) => log.error({ reason: message }, 'changed security files not used'),
  });
}

/** The teacher, with another way to close it. */
function closing(remote: RemoteTeacher, close: () => Promise<void>): Teacher {
  return {
    info: remote.info,
    classifier: remote.classifier,
    request: (image, signal) => remote.request(image, signal),
    requestElsewhere: (image, signal) => remote.requestElsewhere(image, signal),
    close,
  };
}

function clientOptions(config: StudentConfig, { dataset, run, reporting }: Parts): ClientOptions {
  const { teacher } = config;
  const { metrics, log } = reporting;
  const jitter = drawsFor(config.seed, 'jitter');
  const { serverName } = teacher.tls;
  const reportTeacher = teacherReport(reporting);
  return {
    addresses: teacher.addresses,
    lookupIntervalMs: teacher.lookupIntervalMs,
    runId: run.id,
    outputs: neededOutputs(config),
    encoding: teacher.encoding,
    logits: teacher.logits,
    expected: {
      classes: dataset.classNames.length,
      outputStride: outputStrideOf(config.student.model),
      digest: expectedDigest(teacher, run),
    },
    requestTimeoutMs: teacher.requestTimeoutMs,
    teacherTimeoutMs: teacher.teacherTimeoutMs,
    maxInflightBytes: teacher.maxInflightMiB * 2 ** 20,
    jitter: () => jitter.uniform(),
    onRequeued(reason, detail) {
      metrics.requeued.inc({ reason });
      // Called once for each non-finite reply, found here or at the teacher, except one that ends the run.
      if (reason === 'nonfinite') metrics.nonfinite.inc();
      log.warn({ reason, detail }, 'image requested again');
      reporting.tell({ kind: 'requeue', reason });
    },
    onUnmatched: () => metrics.unmatched.inc(),
    onReceivedBytes: (bytes) => metrics.receivedBytes.inc(bytes),
    onInflightBytes: (bytes) => metrics.inflightBytes.set(bytes),
    onTeacher(news) {
      metrics.recordTeacher(news.address, news.state);
      reportTeacher(news);
    },
    onName: ({ name, addresses, detail }) => {
      if (addresses !== null) log.info({ name, addresses }, 'teachers of a DNS name');
      else log.warn({ name, reason: detail }, 'no teachers found for a DNS name');
    },
    ...(serverName === null ? {} : { serverName }),
    ...(log.isLevelEnabled('debug') ? { onAttempt: attemptLog(log, config) } : {}),
  };
}

/** Logs a line for each image that is sent and for its outcome; `step` as in events.jsonl. */
function attemptLog(
  log: Logger,
  { train: { accumulateSteps } }: StudentConfig,
): (event: AttemptEvent) => void {
  return ({ kind, batch, reason, ...fields }) => {
    const step = batch === undefined ? {} : { step: Math.floor(batch / accumulateSteps) + 1 };
    log.debug({ ...fields, ...step, ...(reason === '' ? {} : { reason }) }, `image ${kind}`);
  };
}

/** Throws ContractMismatchError if config and checkpoint name different teachers. */
function expectedDigest(
  { digest }: StudentConfig['teacher'],
  { manifest }: TeachersRun,
): string | null {
  const saved = manifest?.teacherDigest ?? null;
  if (saved !== null && digest !== null && saved !== digest) {
    throw new ContractMismatchError(`teacher.digest: got ${digest}, the checkpoint's is ${saved}`);
  }
  return saved ?? digest;
}

/** Reports each change of a teacher once, and not every attempt to reach an absent one. */
function teacherReport({ log, tell }: Reporting): (state: TeacherState) => void {
  const reported = new Map<string, string>();
  return (news) => {
    const { address, state, detail } = news;
    const text = `${state} ${detail}`;
    const lost =
      state === 'backoff' && /^(ready|draining|leaving) /.test(reported.get(address) ?? '');
    if (reported.get(address) === text || !(lost || REPORTED_STATES.has(state))) {
      log.debug({ ...news }, 'teacher');
      return;
    }
    reported.set(address, text);
    log[state === 'ready' || state === 'closed' ? 'info' : 'warn']({ ...news }, 'teacher');
    tell({ kind: 'teacher', ...news });
  };
}

/** Checks addresses beyond what the schema can: for example that a DNS server is given by its address. */
function checkNames(addresses: readonly string[]): void {
  for (const address of addresses) {
    try {
      if (oipEntry(address) === null) parseDnsName(address);
    } catch (error) {
      throw teacherFault('teacher.addresses', (error as Error).message);
    }
  }
}

function checkRoom({ data, teacher }: StudentConfig, remote: RemoteTeacher): void {
  const { height, width } = data.crop;
  const wanted = Math.ceil(remote.inflightBytesFor({ height, width }) / 2 ** 20);
  if (wanted <= teacher.maxInflightMiB) return;
  throw teacherFault(
    'teacher.maxInflightMiB',
    `got ${teacher.maxInflightMiB}, wanted at least ${wanted}: the answer to a crop of ${height} x ${width}`,
  );
}
