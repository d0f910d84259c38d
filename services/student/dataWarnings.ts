/** Logs what is odd about a run's data while it trains; each thing once. */
import { type Batch, IGNORE_LABEL, type Sample } from '../../src/data/types.js';
import { type SeenPixels, unlabelled } from '../../src/evaluate/unlabelled.js';
import type { Reporting } from './reporting.js';

/** After so many batches without a labelled pixel, it isn't chance. */
const BATCHES_WITHOUT_LABELS = 10;

export class DataWarnings {
  readonly #log: Pick<Reporting['log'], 'warn'>;
  readonly #told = new Set<string>();
  /** Of the first batches, as long as all their pixels are ignored. */
  readonly #ignored: SeenPixels = { images: 0, pixels: 0 };
  #batches = 0;
  #hasLabels = false;

  constructor(log: Pick<Reporting['log'], 'warn'>) {
    this.#log = log;
  }

  /** @param isLast no more batches come: fewer than ten have to do */
  batch({ crops }: Batch, isLast: boolean): void {
    for (const { warning, labels } of crops) {
      this.#decoder(warning);
      if (this.#hasLabels) continue;
      // Of images without labels, the teacher gives them.
      this.#hasLabels = labels.some((label) => label !== IGNORE_LABEL);
      this.#ignored.images++;
      this.#ignored.pixels += labels.length;
    }
    this.#batches++;
    if (this.#hasLabels || !(isLast || this.#batches >= BATCHES_WITHOUT_LABELS)) return;
    this.#once(unlabelled(`data.train: the first ${this.#batches} batches`, this.#ignored));
    this.#hasLabels = true;
  }

  sample({ warning }: Pick<Sample, 'warning'>): void {
    this.#decoder(warning);
  }

  /** @param labelledPixels of all `seen` */
  evaluated(labelledPixels: number, seen: SeenPixels): void {
    if (labelledPixels === 0 && seen.images > 0) this.#once(unlabelled('data.val', seen));
  }

  #decoder(warning: string | undefined): void {
    if (warning !== undefined) this.#once(warning);
  }

  #once(message: string): void {
    if (this.#told.has(message)) return;
    this.#told.add(message);
    this.#log.warn(message);
  }
}
