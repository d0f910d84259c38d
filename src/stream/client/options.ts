/** The options of a client of teachers, its hooks and the events that they report. */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Encoding, NeededOutput } from '../../contract/outputs.js';
import { plaintext } from '../../rpc/endingConnections.js';
import { FEATURE_AND_LOGITS, type LogitsSource } from './helloOutputs.js';

/**
 * Why an image was requested again: the label of cirkd_student_requeued_total. The caller of
 * `request` never sees any of these; it waits a little longer.
 */
export type RequeueReason =
  /** No complete answer within requestTimeoutMs, or the teacher reports that its deadline passed. */
  | 'timeout'
  /** A chunk's bytes don't match its checksum. */
  | 'crc'
  /** A chunk's output, dtype, shape, row range or length differs from what was agreed. */
  | 'shape'
  /** The stream ended while the image was unanswered. */
  | 'stream'
  /** The teacher answered with an error that it calls retryable. */
  | 'error'
  /** The teacher computed a NaN or an infinity, or the caller found one (`requestElsewhere`). */
  | 'nonfinite'
  /** The teacher shuts down. */
  | 'draining';

/** The student's requirements for a teacher. */
export interface ExpectedContract {
  /** Undefined: the number that the first teacher has. */
  readonly classes?: number;
  readonly outputStride: number;
  /** true: other strides are taken, too: for evaluation, where logits are resized to the image. */
  readonly takesAnyStride?: boolean;
  /** null: that of the first teacher that fits. */
  readonly digest?: string | null;
  /** Undefined: that of the first teacher that fits. */
  readonly featureChannels?: number;
}

/**
 * The state that a teacher's connection has entered. Every teacher starts by connecting; the client
 * keeps trying in all states but `leaving` and `closed`, so none of the others is an end.
 */
export interface TeacherState {
  readonly address: string;
  readonly state: /** A stream is being opened. Without a welcome within 10 s, or requestTimeoutMs, it is given up. */
    | 'connecting'
    /**
     * Its contract fits, and it gets images. After a failure it gets none during a back-off, which isn't
     * a separate state.
     */
    | 'ready'
    /** It shuts down: it answers its images and gets no new ones. Then, or after its grace: `backoff`. */
    | 'draining'
    /**
     * Its name no longer resolves to its address: it answers its images and gets no new ones. Then
     * `closed`, or `ready` if the address comes back first.
     */
    | 'leaving'
    /** The stream ended, from either side. Its images are requested again; the next try follows. */
    | 'backoff'
    /**
     * It doesn't fit this student, or refuses it access. It is still tried again after maxBackoffMs, as
     * it may be replaced.
     */
    | 'refused'
    /** `close()` was called, or it has left; its stream may take another half second to end. */
    | 'closed';
  /** Why the state was entered, for people: the digest for `ready`, empty if there is nothing to say. */
  readonly detail: string;
}

/** The result of a look-up that changed something. */
export interface NameState {
  /** The name as given in the options' addresses. */
  readonly name: string;
  /** Its current addresses; null: the look-up failed or found none, and the old ones stay in use. */
  readonly addresses: readonly string[] | null;
  /** What went wrong, for people; empty if nothing did. */
  readonly detail: string;
}

/**
 * One attempt at one image: `sent` comes first, and exactly one of the others follows. An image has one
 * attempt at a time.
 */
export interface AttemptEvent {
  readonly kind:
    | 'sent'
    /** Every output arrived complete. */
    | 'answered'
    /** The image is requested again; `reason` says why. */
    | 'failed'
    /** The teacher refused the image for good: the request rejects with ImageRefusedError. */
    | 'refused'
    /** The answer is no longer wanted: the request was aborted or the client closed. */
    | 'dropped';
  /** The id on the wire: together with the run's id it identifies the request in all its attempts. */
  readonly request: number;
  /** 0 for the first. */
  readonly attempt: number;
  readonly teacher: string;
  readonly sample: string;
  readonly batch: number | undefined;
  /** Bytes of the image for `sent`, else of the tensors that arrived. */
  readonly bytes: number;
  /** Time since the image was sent. */
  readonly ms: number;
  /** Why it failed or was refused, for people; else empty. */
  readonly reason: string;
}

/** Hooks for metrics and logs, called while the client's state changes: none may throw or call the client. */
export interface ClientHooks {
  readonly onRequeued?: (reason: RequeueReason, detail: string) => void;
  /** Bytes of tensor data that arrived, whether used or not. */
  readonly onReceivedBytes?: (bytes: number) => void;
  /** Bytes of all requested answers that haven't arrived, after each change. */
  readonly onInflightBytes?: (bytes: number) => void;
  readonly onTeacher?: (state: TeacherState) => void;
  readonly onAttempt?: (event: AttemptEvent) => void;
  /** A teacher sent a whole answer that no open attempt waits for: late, twice, or with an unknown id. */
  readonly onUnmatched?: (address: string) => void;
  readonly onName?: (state: NameState) => void;
}

/**
 * A client's fixed options. connectTeachers throws RangeError for a number that isn't above 0 and for
 * empty `addresses` or `outputs`; nothing else is checked.
 */
export interface ClientOptions extends ClientHooks {
  /**
   * At least one; duplicates count once. host:port, [IPv6]:port or unix:path is one teacher;
   * dns:///host:port or dns://server[:port]/host:port is one teacher per address behind the name, as
   * they come and go.
   */
  readonly addresses: readonly string[];
  /** [A-Za-z0-9._-]{1,128} */
  readonly runId: string;
  /** What the caller uses of an answer, at least one; nothing else travels. Default: FEATURE_AND_LOGITS. */
  readonly outputs?: readonly NeededOutput[];
  /** Encoding of logits and embeddings; norms are always fp32, and with int8 logits are fp16. */
  readonly encoding: Encoding;
  /** Whether logits are sent, or rebuilt here with the teacher's classifier. Default 'sent'. */
  readonly logits?: LogitsSource;
  readonly expected: ExpectedContract;
  /** Time limit from sending an image to the last byte of its answer. */
  readonly requestTimeoutMs: number;
  /** If no teacher answers for this long while requests wait, all waiting requests fail. */
  readonly teacherTimeoutMs: number;
  /** Bound on the bytes of answers requested but not yet received, over all teachers. */
  readonly maxInflightBytes: number;
  /** Draws in [0, 1) that keep the back-offs of several students apart. */
  readonly jitter: () => number;
  /** Called for each new connection; default: plaintext. */
  readonly credentials?: () => ChannelCredentials;
  /** The name that certificates must be issued for; default: the host in `addresses`. */
  readonly serverName?: string;
  /** Time between two look-ups of a name. Default 5000. */
  readonly lookupIntervalMs?: number;
  /** Most unanswered images per teacher, if it allows so many. Default 8. */
  readonly maxInflightImagesPerTeacher?: number;
  /**
   * Images that a teacher gets before its first answer; each answer allows one more. It starts low, as
   * teachers that are about to join would answer the images sooner. Default 2.
   */
  readonly firstInflightImagesPerTeacher?: number;
  /** First and longest wait before a failed teacher is tried again. Default 100 and 5000. */
  readonly firstBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Failures in a row after which a stream is given up and reopened. Default 3. */
  readonly breakerFailures?: number;
}

/** The options with every default filled in. */
export type ClientSettings = ClientOptions & {
  readonly credentials: () => ChannelCredentials;
  readonly outputs: readonly NeededOutput[];
  readonly logits: LogitsSource;
  readonly lookupIntervalMs: number;
  readonly maxInflightImagesPerTeacher: number;
  readonly firstInflightImagesPerTeacher: number;
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly breakerFailures: number;
};

/** Throws a RangeError that names the option that is out of range. */
export function withDefaults(options: ClientOptions): ClientSettings {
  const settings = {
    credentials: plaintext,
    outputs: FEATURE_AND_LOGITS,
    logits: 'sent' as const,
    lookupIntervalMs: 5000,
    maxInflightImagesPerTeacher: 8,
    firstInflightImagesPerTeacher: 2,
    firstBackoffMs: 100,
    maxBackoffMs: 5000,
    breakerFailures: 3,
    ...options,
  };
  if (settings.addresses.length === 0) {
    throw new RangeError('addresses: none given, wanted at least one');
  }
  if (settings.outputs.length === 0) {
    throw new RangeError('outputs: none given, wanted at least one');
  }
  const positive = [
    'requestTimeoutMs',
    'teacherTimeoutMs',
    'maxInflightBytes',
    'lookupIntervalMs',
    'maxInflightImagesPerTeacher',
    'firstInflightImagesPerTeacher',
    'firstBackoffMs',
    'maxBackoffMs',
    'breakerFailures',
  ] as const;
  for (const name of positive) {
    if (!(settings[name] > 0)) {
      throw new RangeError(`${name}: ${settings[name]} given, wanted more than 0`);
    }
  }
  return settings;
}
