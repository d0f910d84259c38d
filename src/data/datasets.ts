/** The table of datasets: a plain description, which can be sent to a worker, to a dataset. */
import { camvid } from './camvid.js';
import { type SyntheticSplit, syntheticStreets } from './syntheticStreets.js';
import type { Dataset } from './types.js';

export type DatasetConfig =
  | {
      readonly kind: 'synthetic';
      readonly split: SyntheticSplit;
      readonly samples: number;
      /** Pixels. */
      readonly height: number;
      readonly width: number;
      readonly seed: number;
    }
  | {
      readonly kind: 'camvid';
      /** Folder. */
      readonly root: string;
      readonly split: string;
    };

/** @throws DataError when files of the list are missing. */
export function openDataset(config: DatasetConfig): Dataset {
  switch (config.kind) {
    case 'synthetic':
      return syntheticStreets(config);
    case 'camvid':
      return camvid(config);
  }
}
