/** A folder like CamVid's, of tiny images that a test draws. */
import { join } from 'node:path';
import { type DrawnImage, drawImage, drawLabels } from './drawnFiles.js';

export class CamvidFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  imageFile(split: string, name: string): string {
    return join(this.root, split, `${name}.png`);
  }

  labelFile(split: string, name: string): string {
    return join(this.root, `${split}annot`, `${name}.png`);
  }

  /** Draws images of one look and labels; the split is what its folder holds. */
  async add(split: string, names: readonly string[], drawn: DrawnImage = {}): Promise<void> {
    for (const [index, name] of names.entries()) {
      await this.drawImage(split, name, index, drawn);
      this.drawLabels(split, name, drawn);
    }
  }

  async drawImage(split: string, name: string, seed: number, drawn: DrawnImage = {}) {
    await drawImage(this.imageFile(split, name), seed, drawn);
  }

  /** Stripes of every class; 11 is void. */
  drawLabels(split: string, name: string, drawn: DrawnImage = {}): void {
    const label = (y: number) => Math.min(11, y >> 2);
    drawLabels(this.labelFile(split, name), { label, ...drawn });
  }
}
