/** Lists what else belongs to a network: its classes, pixels and align_corners, each with its origin. */
import type { ImportSource } from '../../../src/models/files/importModel.js';
import type { ModelDescription } from '../../../src/models/files/modelFile.js';
import { originOf } from '../../../src/models/zoo.js';
import { printable } from '../../../src/wire/printable.js';
import { namesFromMeta, settingsFromMeta } from '../modelOptions.js';

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
    `pixels: ${channelOrder} minus ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')} (${from.pixels})`,
    `align_corners: ${alignCorners} (${from.alignCorners})`,
  ];
}

function origins({ spec }: ModelDescription, { description, meta }: ImportSource) {
  if (description !== null) {
    return { classes: DESCRIPTION, pixels: DESCRIPTION, alignCorners: DESCRIPTION };
  }
  const stored = settingsFromMeta(spec, meta);
  const config = 'the config saved beside the weights';
  const assumed = (options: string) =>
    `not in the file: the default of the network's origin, unless ${options} given`;
  return {
    classes:
      namesFromMeta(meta, spec.numClasses) !== null
        ? 'names saved beside the weights'
        : 'counted from the weights; --classes names them',
    pixels: stored.normalisation === undefined ? assumed('--pixel-mean etc. are') : config,
    alignCorners: stored.alignCorners === undefined ? assumed('--align-corners is') : config,
  };
}
