/** The input that a model takes: name, data type, axes, pixels. From settings, metadata and config. */
import { printable } from '../../wire/printable.js';
import type { Misfits } from './misfit.js';
import type { TeacherFacts } from './modelParameters.js';
import { type ServerFacts, type StatedTensor, tensorsText, tensorText } from './serverFacts.js';
import {
  INPUT_DATATYPES,
  type InputDatatype,
  type Layout,
  type Normalisation,
  type OipSettings,
} from './settings.js';

export interface ModelInput {
  readonly name: string;
  readonly datatype: InputDatatype;
  readonly layout: Layout;
  /** Whether the shape begins with the number of images, which is 1. */
  readonly hasBatchAxis: boolean;
  /** null: any size. */
  readonly height: number | null;
  readonly width: number | null;
  /** How the pixels are made from R G B bytes. */
  readonly pixels: Normalisation;
}

const CHANNELS = 3;

/** A trial image of a server's size is made in memory, whatever the server says. */
const MAX_PIXELS = 2 ** 26;

/** Pixels as they are. */
export const RAW_PIXELS: Normalisation = {
  pixelMean: [0, 0, 0],
  pixelStd: [1, 1, 1],
  channelOrder: 'rgb',
};

/** Undefined: something is missing or doesn't fit, which `misfits` then says. */
export function readModelInput(
  facts: ServerFacts,
  stated: Partial<TeacherFacts>,
  settings: OipSettings,
  misfits: Misfits,
): ModelInput | undefined {
  const tensor = chosenInput(facts, settings, misfits);
  if (tensor === undefined) {
    if (settings.normalisation === null && statedPixels(stated) === undefined) askPixels(misfits);
    return undefined;
  }
  const datatype = datatypeOf(tensor, settings, misfits);
  const axes = axesOf(tensor, formatOf(facts, tensor.name), settings, misfits);
  const pixels = pixelsOf(tensor, datatype, stated, settings, misfits);
  if (datatype === undefined || axes === undefined) return undefined;
  // Without the right pixels a trial image is as good: what it shows can be asked for with the rest.
  return { name: tensor.name, datatype, pixels: pixels ?? RAW_PIXELS, ...axes };
}

function chosenInput(
  { metadata: { inputs } }: ServerFacts,
  { input: name }: OipSettings,
  misfits: Misfits,
): StatedTensor | undefined {
  if (inputs.length === 0) {
    if (name === null) return misfits.ask('input', "the input's name");
    return { name, datatype: '', shape: [] };
  }
  if (name !== null) {
    const found = inputs.find((input) => input.name === name);
    if (found !== undefined && inputs.length === 1) return found;
    return misfits.fault(
      found === undefined
        ? `teacher.oip.input: ${printable(name)} given, the model has ${tensorsText(inputs)}`
        : `inputs: the model wants ${tensorsText(inputs)}, this student sends an image only`,
    );
  }
  if (inputs.length === 1) return inputs[0];
  return misfits.fault(
    `inputs: the model wants ${tensorsText(inputs)}, this student sends an image only`,
  );
}

function datatypeOf(
  tensor: StatedTensor,
  { datatype: given }: OipSettings,
  misfits: Misfits,
): InputDatatype | undefined {
  const known = INPUT_DATATYPES.find((each) => each === tensor.datatype);
  if (tensor.datatype === '') {
    return given ?? misfits.ask('datatype', `the input's data type: ${INPUT_DATATYPES.join(', ')}`);
  }
  if (known === undefined) {
    return misfits.fault(
      `input ${tensorText(tensor)}: an image is sent as one of ${INPUT_DATATYPES.join(', ')}`,
    );
  }
  if (given === null || given === known) return known;
  return misfits.fault(
    `teacher.oip.datatype: ${given} given, the model's input is ${tensorText(tensor)}`,
  );
}

type Axes = Pick<ModelInput, 'layout' | 'hasBatchAxis' | 'height' | 'width'>;

const LAYOUTS: readonly Layout[] = ['nchw', 'nhwc'];

/** The axes of one image, without the batch axis. */
const CHANNEL_AXIS = { nchw: 0, nhwc: 2 } as const;

function axesOf(
  tensor: StatedTensor,
  format: Layout | null,
  { layout: given }: OipSettings,
  misfits: Misfits,
): Axes | undefined {
  const { shape } = tensor;
  const question = 'nchw or nhwc: the input shows no axis of 3 channels, or two';
  if (shape.length === 0) {
    const layout = given ?? format ?? misfits.ask('layout', question);
    return layout && { layout, hasBatchAxis: true, height: null, width: null };
  }
  const fault = `input ${tensorText(tensor)}`;
  if (shape.length !== 3 && shape.length !== 4) {
    return misfits.fault(
      `${fault}: wanted axes for images (or none), ${CHANNELS} channels, height, width`,
    );
  }
  const hasBatchAxis = shape.length === 4;
  if (hasBatchAxis && shape[0]! > 1) {
    return misfits.fault(`${fault}: this student sends one image at a time, not ${shape[0]}`);
  }
  const image = shape.slice(-3);
  const layout = layoutOf(image, given, format);
  if (layout === 'unclear') return misfits.ask('layout', question);
  if (layout === null) {
    const wanted = given ?? format ?? 'nchw or nhwc';
    return misfits.fault(`${fault}: wanted ${CHANNELS} channels where ${wanted} has them`);
  }
  const [height, width] = layout === 'nchw' ? [image[1]!, image[2]!] : [image[0]!, image[1]!];
  const size = (each: number) => (each > 0 ? each : null);
  if ((size(height) ?? 1) * (size(width) ?? 1) > MAX_PIXELS) {
    return misfits.fault(`${fault}: wanted at most ${MAX_PIXELS} pixels`);
  }
  return { layout, hasBatchAxis, height: size(height), width: size(width) };
}

function layoutOf(
  image: readonly number[],
  given: Layout | null,
  format: Layout | null,
): Layout | 'unclear' | null {
  const wished = given ?? format;
  const channels = (layout: Layout) => image[CHANNEL_AXIS[layout]]!;
  const shown = LAYOUTS.filter((layout) => channels(layout) === CHANNELS);
  if (wished !== null) {
    const isOpen = channels(wished) < 1 && shown.length === 0;
    return isOpen || shown.includes(wished) ? wished : null;
  }
  if (shown.length === 1) return shown[0]!;
  return shown.length === 2 || LAYOUTS.some((layout) => channels(layout) < 1) ? 'unclear' : null;
}

/** What Triton's config says of an input's axes. */
function formatOf({ config }: ServerFacts, name: string): Layout | null {
  const format = config?.input.find((input) => input.name === name)?.format;
  if (format === 'FORMAT_NCHW') return 'nchw';
  return format === 'FORMAT_NHWC' ? 'nhwc' : null;
}

function pixelsOf(
  tensor: StatedTensor,
  datatype: InputDatatype | undefined,
  stated: Partial<TeacherFacts>,
  { normalisation: given }: OipSettings,
  misfits: Misfits,
): Normalisation | undefined {
  if (datatype === 'UINT8') {
    // The model does the rest itself: what its parameters say is what it does.
    if (given === null || isRaw(given)) return given ?? RAW_PIXELS;
    return misfits.fault(
      `teacher.oip.normalisation: ${normalisationText(given)} given, but the model's input is ${tensorText(tensor)}, which takes pixels as they are (none)`,
    );
  }
  if (given === null) return statedPixels(stated) ?? askPixels(misfits);
  // A server may state only some of the three.
  const differing = PIXEL_FIELDS.filter(
    ([field]) => stated[field] !== undefined && `${stated[field]}` !== `${given[field]}`,
  );
  for (const [field, parameter] of differing) {
    misfits.fault(
      `teacher.oip.normalisation: ${textOf(given[field])} given, the model's parameter ${parameter} says ${textOf(stated[field]!)}`,
    );
  }
  return given;
}

const PIXEL_FIELDS = [
  ['pixelMean', 'cirkd.pixel_mean'],
  ['pixelStd', 'cirkd.pixel_std'],
  ['channelOrder', 'cirkd.channel_order'],
] as const;

function textOf(value: readonly number[] | string): string {
  return typeof value === 'string' ? value : `[${value.join(', ')}]`;
}

function askPixels(misfits: Misfits): undefined {
  return misfits.ask(
    'normalisation',
    'the pixels that the model expects: imagenet, official, unit or none; or all of pixelMean, pixelStd, channelOrder',
  );
}

function statedPixels(stated: Partial<TeacherFacts>): Normalisation | undefined {
  const { pixelMean, pixelStd, channelOrder } = stated;
  if (pixelMean === undefined || pixelStd === undefined || channelOrder === undefined) {
    return undefined;
  }
  return { pixelMean, pixelStd, channelOrder };
}

function isRaw({ pixelMean, pixelStd }: Normalisation): boolean {
  return pixelMean.every((mean) => mean === 0) && pixelStd.every((std) => std === 1);
}

/** "rgb less 0, 0, 0, divided by 255, 255, 255" */
function normalisationText({ channelOrder, pixelMean, pixelStd }: Normalisation): string {
  return `${channelOrder} less ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')}`;
}
