/** Lists what else belongs to a network: its classes, pixels and align_corners, each with its origin. */
import type { ImportSource } from '../../../src/models/files/importModel.js';
import type { ModelDescription } from '../../../src/models/files/modelFile.js';
import { originOf } from '../../../src/models/zoo.js';
import { printable } from '../../../src/wire/printable.js';
import { namesBeside, saidBeside } from '../modelOptions.js';

const DESCRIPTION = 'its description';
const SHOWN_CLASSES = 5;

export function settingLines(described: ModelDescription, source: ImportSource): string[] {
  const { spec, classNames } = described;
  const { pixelMean, pixelStd, channelOrder } = described.normalisation;
  const from = origins(described, source);
  const alignCorners = spec.alignCorners ?? originOf(spec.model).alignCorners;
  const shown = classNames.slice(0, SHOWN_CLASSES).map(printable).join(', ');
  return [
    `classes: ${classNames.length}, ${shown}${classNames.length > SHOWN_CLASSES ? ', …' : ''} (${from.classes})`,
    `pixels: ${channelOrder} less ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')} (${from.pixels})`,
    `align_corners: ${alignCorners} (${from.alignCorners})`,
  ];
}

function origins({ spec }: ModelDescription, { description, meta }: ImportSource) {
  if (description !== null) {
    return { classes: DESCRIPTION, pixels: DESCRIPTION, alignCorners: DESCRIPTION };
  }
  const said = saidBeside(spec, meta);
  const config = 'the config saved beside the weights';
  const assumed = (options: string) =>
    `not said in the file: taken from the network's origin, unless ${options} given`;
  return {
    classes:
      namesBeside(meta, spec.numClasses) !== null
        ? 'names saved beside the weights'
        : 'counted from the weights; --classes names them',
    pixels: said.normalisation === undefined ? assumed('--pixel-mean and so on are') : config,
    alignCorners: said.alignCorners === undefined ? assumed('--align-corners is') : config,
  };
}
