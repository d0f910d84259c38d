/** Opens datasets from plain descriptions, which can be sent to a worker. */
import { type Ade20kOptions, ade20k } from './files/ade20k.js';
import { type CamvidOptions, camvid } from './files/camvid.js';
import { type CityscapesOptions, cityscapes } from './files/cityscapes.js';
import { type CocoStuffOptions, cocoStuff } from './files/cocoStuff.js';
import { type FolderOptions, folder } from './files/folder.js';
import { type VocOptions, voc } from './files/voc.js';
import { type SyntheticOptions, syntheticStreets } from './syntheticStreets.js';
import { type Dataset, UNLABELLED } from './types.js';

export type DatasetConfig =
  | ({ readonly kind: 'synthetic'; readonly unlabelled?: boolean } & SyntheticOptions)
  | ({ readonly kind: 'camvid' } & CamvidOptions)
  | ({ readonly kind: 'cityscapes' } & CityscapesOptions)
  | ({ readonly kind: 'voc' } & VocOptions)
  | ({ readonly kind: 'ade20k' } & Ade20kOptions)
  | ({ readonly kind: 'cocostuff' } & CocoStuffOptions)
  | ({ readonly kind: 'folder' } & FolderOptions);

/** @throws DataError when the options are wrong or files are missing. */
export function openDataset(config: DatasetConfig): Dataset {
  switch (config.kind) {
    case 'synthetic': {
      const streets = syntheticStreets(config);
      return config.unlabelled === true ? withoutLabels(streets) : streets;
    }
    case 'camvid':
      return camvid(config);
    case 'cityscapes':
      return cityscapes(config);
    case 'voc':
      return voc(config);
    case 'ade20k':
      return ade20k(config);
    case 'cocostuff':
      return cocoStuff(config);
    case 'folder':
      return folder(config);
  }
}

/** Discards the labels, which drawn scenes always have. */
function withoutLabels(dataset: Dataset): Dataset {
  return {
    ...dataset,
    async load(index) {
      const sample = await dataset.load(index);
      return { ...sample, labels: sample.labels.fill(UNLABELLED) };
    },
  };
}
