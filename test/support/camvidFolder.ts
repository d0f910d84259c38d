/** A folder like CamVid's, of tiny images that a test draws. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encode } from 'fast-png';
import sharp from 'sharp';

export interface DrawnImage {
  readonly height?: number;
  readonly width?: number;
  /** Class number at a pixel; 11 is void. */
  readonly label?: (y: number, x: number) => number;
}

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
    for (const part of [split, `${split}annot`]) {
      mkdirSync(join(this.root, part), { recursive: true });
    }
    for (const [index, name] of names.entries()) {
      await this.drawImage(split, name, index, drawn);
      this.drawLabels(split, name, drawn);
    }
  }

  async drawImage(split: string, name: string, seed: number, drawn: DrawnImage = {}) {
    const { height = 40, width = 56 } = drawn;
    const rgb = Uint8Array.from(
      { length: height * width * 3 },
      (_, i) => (i * 37 + (i >> 7) * 11 + seed * 101) % 256,
    );
    await sharp(rgb, { raw: { height, width, channels: 3 } })
      .png()
      .toFile(this.imageFile(split, name));
  }

  drawLabels(split: string, name: string, drawn: DrawnImage = {}): void {
    const { height = 40, width = 56, label = (y) => Math.min(11, y >> 2) } = drawn;
    const data = Uint8Array.from({ length: height * width }, (_, i) =>
      label(Math.floor(i / width), i % width),
    );
    const png = encode({ data, height, width, channels: 1, depth: 8 });
    writeFileSync(this.labelFile(split, name), png);
  }
}
