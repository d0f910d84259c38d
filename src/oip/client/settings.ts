/** What a student is told about models of other programs, where their servers don't say it. */
import type { TeacherInfo } from '../../contract/teacherInfo.js';

export type Layout = 'nchw' | 'nhwc';

/** Data types that an image may have on the wire, spelled as in the protocol. */
export const INPUT_DATATYPES = ['FP32', 'FP16', 'BF16', 'UINT8'] as const;

export type InputDatatype = (typeof INPUT_DATATYPES)[number];

export type Normalisation = Pick<TeacherInfo, 'pixelMean' | 'pixelStd' | 'channelOrder'>;

/** Feature: use none, whatever the model has. */
export const NO_FEATURE = 'none';

/** null: what the server says, or what follows from a trial. */
export interface OipSettings {
  /** Name of the input. */
  readonly input: string | null;
  readonly datatype: InputDatatype | null;
  /** Order of the input's axes. */
  readonly layout: Layout | null;
  readonly normalisation: Normalisation | null;
  /** Names of outputs. */
  readonly logits: string | null;
  readonly feature: string | null;
  readonly outputLayout: Layout | null;
  readonly outputStride: number | null;
  readonly alignCorners: boolean | null;
  readonly classes: number | null;
  readonly classNames: readonly string[] | null;
  /** Taken for the digest of servers that state none: someone vouches that all have the same weights. */
  readonly digest: string | null;
  /** Sent with every call; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Whether images go over ModelStreamInfer. auto: where the server has it. */
  readonly stream: 'auto' | 'never' | 'always';
}

export const NO_OIP_SETTINGS: OipSettings = {
  input: null,
  datatype: null,
  layout: null,
  normalisation: null,
  logits: null,
  feature: null,
  outputLayout: null,
  outputStride: null,
  alignCorners: null,
  classes: null,
  classNames: null,
  digest: null,
  headers: {},
  stream: 'auto',
};

/** The settings by which a person can answer what a server doesn't say. */
export type SettingKey = keyof Omit<OipSettings, 'headers' | 'stream' | 'digest'>;

/** A value that is needed and that nobody has given. */
export interface MissingSetting {
  readonly key: SettingKey;
  /** What is wanted, for people. */
  readonly question: string;
}
