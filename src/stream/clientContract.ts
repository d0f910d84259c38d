/**
 * The contract check: what a welcome says against what the student needs, and against the first
 * teacher that was taken. All images of a run must go through the same network.
 */
import { ContractMismatchError, type TeacherInfo } from '../distill/teacher.js';
import type { OutputName, WireDType } from '../wire/encodedTensor.js';
import type { ClientSettings, ExpectedContract } from './clientOptions.js';
import type { OutputEncodingInput } from './generated/cirkd/teacher/v1/OutputEncoding.js';
import type { TeacherInfo as WireInfo } from './generated/cirkd/teacher/v1/TeacherInfo.js';
import type { Welcome } from './generated/cirkd/teacher/v1/Welcome.js';
import { channelOrderFromWire, ENCODING_TO_WIRE, OUTPUT_TO_WIRE } from './names.js';
import { PROTOCOL_VERSION } from './teacherService.js';

/** What one teacher and the student agreed upon. */
export interface Agreement {
  readonly info: TeacherInfo;
  /** Infinity where the teacher states no limit. */
  readonly maxImagePixels: number;
  readonly maxInflightImages: number;
  /** First grant of pixels, in bytes. */
  readonly uploadCreditBytes: number;
}

/** The outputs that a student asks for, in the order of the hello. */
export function wantedOutputs(
  encoding: ClientSettings['encoding'],
): { name: OutputName; dtype: WireDType }[] {
  return [
    { name: 'logits', dtype: encoding },
    { name: 'embedding', dtype: encoding },
    { name: 'feature_norm', dtype: 'fp32' },
  ];
}

/** The same as the contract spells it. */
export function helloOutputs(encoding: ClientSettings['encoding']): OutputEncodingInput[] {
  return wantedOutputs(encoding).map(({ name, dtype }) => ({
    output: OUTPUT_TO_WIRE[name],
    encoding: ENCODING_TO_WIRE[dtype],
  }));
}

/** The contract of a fleet: the student's wishes, made whole by the first teacher that fits. */
export class FleetContract {
  readonly #expected: ExpectedContract;
  readonly #encoding: ClientSettings['encoding'];
  #first: { address: string; info: TeacherInfo } | undefined;

  constructor(expected: ExpectedContract, encoding: ClientSettings['encoding']) {
    this.#expected = expected;
    this.#encoding = encoding;
  }

  /** The first teacher's; undefined before there was one. */
  get info(): TeacherInfo | undefined {
    return this.#first?.info;
  }

  /** Throws ContractMismatchError, which names the field, the teacher's value and the student's. */
  admit(address: string, welcome: Welcome): Agreement {
    const refuse = (
      field: string,
      teacher: unknown,
      student: unknown,
      owner = "student's",
    ): never => {
      throw new ContractMismatchError(
        `${field}: teacher ${address} has ${teacher}, the ${owner} is ${student}`,
      );
    };
    if (welcome.protocolVersion !== PROTOCOL_VERSION) {
      refuse('protocol_version', welcome.protocolVersion, PROTOCOL_VERSION);
    }
    const info = readInfo(address, welcome.teacher);
    const { classes, outputStride, digest, featureChannels } = this.#expected;
    if (classes !== undefined && info.classes !== classes) {
      refuse('classes', info.classes, classes);
    }
    if (info.outputStride !== outputStride) {
      refuse('output_stride', info.outputStride, outputStride);
    }
    if (digest != null && info.digest !== digest) refuse('digest', info.digest, digest);
    if (featureChannels !== undefined && info.featureChannels !== featureChannels) {
      refuse('feature_channels', info.featureChannels, featureChannels);
    }
    this.#checkOutputs(welcome, refuse);
    const first = this.#first;
    if (first !== undefined) {
      const owner = `first teacher's (${first.address})`;
      if (info.digest !== first.info.digest) {
        refuse('digest', info.digest, first.info.digest, owner);
      }
      if (info.featureChannels !== first.info.featureChannels) {
        refuse('feature_channels', info.featureChannels, first.info.featureChannels, owner);
      }
    }
    this.#first ??= { address, info };
    return {
      info,
      maxImagePixels: welcome.limits?.maxImagePixels || Number.POSITIVE_INFINITY,
      maxInflightImages: welcome.limits?.maxInflightImages || Number.POSITIVE_INFINITY,
      uploadCreditBytes: welcome.creditBytes,
    };
  }

  #checkOutputs(
    welcome: Welcome,
    refuse: (field: string, teacher: unknown, student: unknown) => never,
  ): void {
    const words = (outputs: readonly OutputEncodingInput[]) =>
      outputs
        .map(({ output, encoding }) => `${output} as ${encoding}`)
        .sort()
        .join(', ');
    const granted = words(welcome.outputs);
    const wanted = words(helloOutputs(this.#encoding));
    if (granted !== wanted) refuse('outputs', granted || 'none', wanted);
  }
}

function readInfo(address: string, wire: WireInfo | null): TeacherInfo {
  if (wire === null) {
    throw new ContractMismatchError(`teacher: ${address} sent none in its welcome`);
  }
  if (wire.featureChannels < 1) {
    throw new ContractMismatchError(
      `feature_channels: teacher ${address} has ${wire.featureChannels}, wanted at least 1`,
    );
  }
  return {
    digest: wire.digest,
    model: wire.model,
    classes: wire.classes,
    featureChannels: wire.featureChannels,
    outputStride: wire.outputStride,
    pixelMean: wire.pixelMean,
    pixelStd: wire.pixelStd,
    channelOrder: channelOrderFromWire(wire.channelOrder) ?? 'rgb',
    numericMode: wire.numericMode,
    classNames: wire.classNames,
  };
}
