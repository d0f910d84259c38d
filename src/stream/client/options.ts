/** What a client of teachers is told: by the config, and by those who watch it. */
import type { ChannelCredentials } from '@grpc/grpc-js';
import { type Encoding, type OutputRequest, OUTPUTS } from '../../contract/outputs.js';
import type { TeacherInfo } from '../../contract/teacherInfo.js';
import { plaintext } from '../../rpc/endingConnections.js';
import { ENCODING, OUTPUT } from '../codec/wireNames.js';
import type { OutputEncodingInput } from '../generated/cirkd/teacher/v1/OutputEncoding.js';

/**
 * Why an image was requested again: the label of cirkd_student_requeued_total. The caller of
 * `request` never sees any of these; it waits a little longer.
 */
export type RequeueReason =
  /** No whole answer within requestTimeoutMs, or the teacher says that it was too late. */
  | 'timeout'
  /** A chunk's bytes don't have its checksum. */
  | 'crc'
  /** A chunk has another output, dtype, shape, row range or length than was agreed. */
  | 'shape'
  /** The stream ended while the image was there. */
  | 'stream'
  /** The teacher answered with an error that it calls retryable. */
  | 'error'
  /** The teacher computed a NaN or an infinity, or the caller found one (`requestElsewhere`). */
  | 'nonfinite'
  /** The teacher shuts down. */
  | 'draining';

/** What the student needs a teacher to be. */
export interface ExpectedContract {
  /** Undefined: as many as the first teacher has. */
  readonly classes?: number;
  readonly outputStride: number;
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
     * Its contract fits, and it gets images. After a failure it gets none for a back-off, which is no
     * state of its own.
     */
    | 'ready'
    /** It shuts down: it answers what it has and gets nothing new. Then, or after its grace: backoff. */
    | 'draining'
    /**
     * Its address isn't behind its name any more: it answers what it has and gets nothing new. Then
     * `closed`, or `ready` if the address comes back first.
     */
    | 'leaving'
    /** The stream ended, whoever ended it. Its images are requested again; the next try follows. */
    | 'backoff'
    /**
     * It doesn't fit this student, or doesn't let it in. It is tried again after maxBackoffMs all the
     * same, as somebody may replace it.
     */
    | 'refused'
    /** `close()` was called, or it has left; its stream may still take half a second to end. */
    | 'closed';
  /** Why the state was entered, for people: the digest for `ready`, empty where there is nothing to say. */
  readonly detail: string;
}

/** What a look-up of a name has changed. */
export interface NameState {
  /** As in the options' addresses. */
  readonly name: string;
  /** All that it stands for now; null: the look-up failed or found none, all stays as it is. */
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
    /** Every output came whole. */
    | 'answered'
    /** To be requested again; `reason` says why. */
    | 'failed'
    /** The teacher says that asking again is no use: the request rejects with ImageRefusedError. */
    | 'refused'
    /** Nobody wants the answer any more: aborted, or the client was closed. */
    | 'dropped';
  /** The id on the wire: with the run's id it names the image's request, in all its attempts. */
  readonly request: number;
  /** 0 for the first. */
  readonly attempt: number;
  readonly teacher: string;
  readonly sample: string;
  readonly batch: number | undefined;
  /** Of the tensors that came; of the image where it was sent. */
  readonly bytes: number;
  /** Since it was sent. */
  readonly ms: number;
  /** Why it failed or was refused, for people; else empty. */
  readonly reason: string;
}

/** For metrics and logs. They are called in the middle of things: none may throw, or call the client back. */
export interface ClientHooks {
  readonly onRequeued?: (reason: RequeueReason, detail: string) => void;
  /** Bytes of tensor data that came, whatever became of them. */
  readonly onReceivedBytes?: (bytes: number) => void;
  /** Bytes of all answers that are asked for and haven't come, after each change. */
  readonly onInflightBytes?: (bytes: number) => void;
  readonly onTeacher?: (state: TeacherState) => void;
  readonly onAttempt?: (event: AttemptEvent) => void;
  readonly onName?: (state: NameState) => void;
}

export type LogitsSource = 'sent' | 'rebuilt';

/**
 * What a client is told once. connectTeachers throws RangeError on a number that isn't above 0 and on
 * an empty `addresses`; all else is taken as it is.
 */
export interface ClientOptions extends ClientHooks {
  /**
   * At least one; the same one twice is one teacher. host:port, [IPv6]:port, unix:path: one teacher. dns:///host:port, or
   * dns://server[:port]/host:port: one at each address behind the name, as they come and go.
   */
  readonly addresses: readonly string[];
  /** [A-Za-z0-9._-]{1,128} */
  readonly runId: string;
  /** How logits and embeddings travel; norms are always fp32, and logits fp16 where this is int8. */
  readonly encoding: Encoding;
  /** Whether logits travel, or are made here with the teacher's classifier. Default 'sent'. */
  readonly logits?: LogitsSource;
  readonly expected: ExpectedContract;
  /** From sending an image to the last byte of its answer. */
  readonly requestTimeoutMs: number;
  /** With something waiting and no answer from any teacher for so long, all that waits fails. */
  readonly teacherTimeoutMs: number;
  /** Bound of the answers asked for and not yet here, over all teachers. */
  readonly maxInflightBytes: number;
  /** Draws in [0, 1) that keep the back-offs of several students apart. */
  readonly jitter: () => number;
  /** Asked for each connection anew; default: plaintext. */
  readonly credentials?: () => ChannelCredentials;
  /** The name that certificates must be for; default: the host in `addresses`. */
  readonly serverName?: string;
  /** Between two look-ups of a name. Default 5000. */
  readonly lookupIntervalMs?: number;
  /** Images that wait at one teacher at once, if it allows so many. Default 8. */
  readonly maxInflightImagesPerTeacher?: number;
  /**
   * Images that a teacher gets before it has answered one; with each answer one more. Others may be
   * about to come, and would do them sooner. Default 2.
   */
  readonly firstInflightImagesPerTeacher?: number;
  /** First and longest wait before a failed teacher is tried again. Default 100 and 5000. */
  readonly firstBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Failures in a row after which a stream is given up and opened anew. Default 3. */
  readonly breakerFailures?: number;
}

/** The options with every default filled in. */
export type ClientSettings = ClientOptions & {
  readonly credentials: () => ChannelCredentials;
  readonly logits: LogitsSource;
  readonly lookupIntervalMs: number;
  readonly maxInflightImagesPerTeacher: number;
  readonly firstInflightImagesPerTeacher: number;
  readonly firstBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly breakerFailures: number;
};

/** Throws RangeError that names an option out of range. */
export function withDefaults(options: ClientOptions): ClientSettings {
  const settings = {
    credentials: plaintext,
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

type OutputOptions = Pick<ClientSettings, 'encoding' | 'logits'>;

/** Whether logits are made of the feature here, with the teacher's last layer. */
export function wantsClassifier({ logits }: OutputOptions): boolean {
  return logits === 'rebuilt';
}

/** The outputs requested for every image, in the order of the hello. */
export function requestedOutputs({ encoding, logits }: OutputOptions): OutputRequest[] {
  // A step of int8 would be too coarse for logits: the KD loss sees every one of them.
  const logitsEncoding = encoding === 'int8' ? 'fp16' : encoding;
  return [
    ...(logits === 'sent' ? [{ output: 'logits', encoding: logitsEncoding } as const] : []),
    { output: 'embedding', encoding },
    ...(encoding === 'int8' ? [{ output: 'embedding_scale', encoding: 'fp32' } as const] : []),
    { output: 'feature_norm', encoding: 'fp32' },
  ];
}

/** What a teacher answers to them: one without a feature (0 channels) leaves its outputs out. */
export function grantedOutputs(
  { featureChannels }: Pick<TeacherInfo, 'featureChannels'>,
  options: OutputOptions,
): OutputRequest[] {
  return requestedOutputs(options).filter(
    ({ output }) => featureChannels > 0 || !OUTPUTS[output].isOfFeature,
  );
}

/** All that the hello asks for, as the contract spells it. */
export function helloOutputs(options: OutputOptions): OutputEncodingInput[] {
  return onWire(requestedOutputs(options), options);
}

/** The outputs that the welcome of a teacher has to grant. */
export function welcomeOutputs(
  info: Pick<TeacherInfo, 'featureChannels'>,
  options: OutputOptions,
): OutputEncodingInput[] {
  return onWire(grantedOutputs(info, options), options);
}

function onWire(ofImage: readonly OutputRequest[], options: OutputOptions): OutputEncodingInput[] {
  const ofStream = { output: 'classifier', encoding: 'fp32' } as const;
  const outputs = wantsClassifier(options) ? [...ofImage, ofStream] : ofImage;
  return outputs.map(({ output, encoding }) => ({
    output: OUTPUT.toWire[output],
    encoding: ENCODING.toWire[encoding],
  }));
}
