/** What a student asks its teachers for. */
import type { TeacherInfo } from '../contract/teacherInfo.js';
import { type OutputName, OUTPUTS } from '../contract/outputs.js';
import type { WireDType } from '../contract/encodedTensor.js';
import type { ClientSettings } from './clientOptions.js';
import type { OutputEncodingInput } from './generated/cirkd/teacher/v1/OutputEncoding.js';
import { ENCODING_TO_WIRE, OUTPUT_TO_WIRE } from './names.js';

type Wishes = Pick<ClientSettings, 'encoding' | 'logits'>;

/** Whether logits are made of the feature here, with the teacher's last layer. */
export function wantsClassifier({ logits }: Wishes): boolean {
  return logits === 'rebuilt';
}

/** Of every image, in the order of the hello. */
export function wantedOutputs({ encoding, logits }: Wishes): {
  name: OutputName;
  dtype: WireDType;
}[] {
  // Of logits a step of int8 would be too coarse: the KD loss sees every one of them.
  const logitsDtype = encoding === 'int8' ? 'fp16' : encoding;
  return [
    ...(logits === 'sent' ? [{ name: 'logits', dtype: logitsDtype } as const] : []),
    { name: 'embedding', dtype: encoding },
    ...(encoding === 'int8' ? [{ name: 'embedding_scale', dtype: 'fp32' } as const] : []),
    { name: 'feature_norm', dtype: 'fp32' },
  ];
}

/** What a teacher answers to them: one without a feature (0 channels) leaves its outputs out. */
export function outputsOf(
  { featureChannels }: Pick<TeacherInfo, 'featureChannels'>,
  wishes: Wishes,
): ReturnType<typeof wantedOutputs> {
  return wantedOutputs(wishes).filter(
    ({ name }) => featureChannels > 0 || !OUTPUTS[name].isOfFeature,
  );
}

/** All that the hello asks for, as the contract spells it. */
export function helloOutputs(wishes: Wishes): OutputEncodingInput[] {
  return onWire(wantedOutputs(wishes), wishes);
}

/** The outputs that the welcome of a teacher has to grant. */
export function welcomeOutputs(
  info: Pick<TeacherInfo, 'featureChannels'>,
  wishes: Wishes,
): OutputEncodingInput[] {
  return onWire(outputsOf(info, wishes), wishes);
}

function onWire(ofImage: ReturnType<typeof wantedOutputs>, wishes: Wishes): OutputEncodingInput[] {
  const ofStream = { name: 'classifier', dtype: 'fp32' } as const;
  const outputs = wantsClassifier(wishes) ? [...ofImage, ofStream] : ofImage;
  return outputs.map(({ name, dtype }) => ({
    output: OUTPUT_TO_WIRE[name],
    encoding: ENCODING_TO_WIRE[dtype],
  }));
}
