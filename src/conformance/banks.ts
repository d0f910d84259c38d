/** Memory banks in a golden case's state, with the official code's ring wrap and sampling, and their objective's settings. */
import type { ObjectiveSettings } from '../distill/settings.js';
import type { BankOptions } from '../memory/memoryBank.js';
import type { PixelMemoryBank } from '../memory/pixelMemoryBank.js';
import type { RegionMemoryBank } from '../memory/regionMemoryBank.js';
import { float32Tensor, int32Tensor } from '../wire/safetensors.js';
import type { GoldenCase, OperationOptions } from './operation.js';
import { tilingOf } from './tensors.js';

/** Queues are full, as the official ones always are; pointers are 0 if the case has none. */
export function goldenBank<Bank extends PixelMemoryBank | RegionMemoryBank>(
  golden: GoldenCase,
  name: 'pixel' | 'region',
  create: (options: BankOptions) => Bank,
): Bank {
  const { data, shape } = golden.float32(`${name}_queue`);
  const [classes = 0, size = 0, channels = 0] = shape;
  const bank = create({
    classes,
    size,
    channels,
    precision: 'fp32',
    ringWrap: 'reference',
    sampling: 'reference',
  });
  const pointers = golden.has(`${name}_ptr`)
    ? golden.int32(`${name}_ptr`).data
    : new Int32Array(classes);
  bank.importState(
    new Map([
      [`${name}_queue`, float32Tensor(data, shape)],
      [`${name}_ptr`, int32Tensor(pointers, [classes])],
      [`${name}_fill`, int32Tensor(new Int32Array(classes).fill(size), [classes])],
    ]),
  );
  return bank;
}

/** Settings that all cases with memory banks have; the v1 trainer, which they are of, never pools. */
export function memorySettings(
  golden: GoldenCase,
  options: OperationOptions,
): Omit<ObjectiveSettings, 'weights' | 'auxWeight' | 'kdTemperature'> {
  return {
    classes: golden.number('num_classes'),
    // The cases have none of the terms that take it from here.
    teacherChannels: 0,
    alignCorners: true,
    ...{ cwdTemperature: 4, dsdTemperature: 4 },
    ...{ channelContrastRows: 2048, channelUpdateFreq: 256 },
    contrastTemperature: golden.number('contrast_temperature'),
    contrastKdTemperature: golden.number('contrast_kd_temperature'),
    minibatchGroup: 0,
    minibatchPooling: 'never',
    tiling: tilingOf(options),
    pixelContrastRows: golden.number('pixel_contrast_size'),
    regionContrastRows: golden.number('region_contrast_size'),
    pixelUpdateFreq: golden.number('pixel_update_freq'),
    memoryStartStep: 0,
    pixelEnqueue: golden.text('pixel_enqueue') === 'reference' ? 'reference' : 'class',
    allIgnored: 'zero',
  };
}
