/** A folder in the layout of Cityscapes, of tiny images that a test draws. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DrawnImage, drawImage, drawLabels } from './drawnFiles.js';

/** `aachen_000000_000019`: city, sequence, frame. */
export type SceneName = string;

export class CityscapesFolder {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Below the root, as a list file has it. */
  imagePath(split: string, name: SceneName): string {
    return `leftImg8bit/${split}/${cityOf(name)}/${name}_leftImg8bit.png`;
  }

  labelPath(split: string, name: SceneName): string {
    return `gtFine/${split}/${cityOf(name)}/${name}_gtFine_labelIds.png`;
  }

  imageFile(split: string, name: SceneName): string {
    return join(this.root, this.imagePath(split, name));
  }

  labelFile(split: string, name: SceneName): string {
    return join(this.root, this.labelPath(split, name));
  }

  /** Images with labels: stripes of every id from 0 to 33, so of classes and of void. */
  async add(split: string, names: readonly SceneName[], drawn: DrawnImage = {}): Promise<void> {
    for (const [index, name] of names.entries()) {
      await drawImage(this.imageFile(split, name), index, drawn);
      this.drawLabels(split, name, drawn);
    }
  }

  drawLabels(split: string, name: SceneName, drawn: DrawnImage = {}): void {
    const label = (y: number) => Math.min(33, y);
    drawLabels(this.labelFile(split, name), { label, ...drawn });
  }

  /** A list as the official code's; returns its file. */
  list(file: string, split: string, names: readonly SceneName[], between = '\t'): string {
    const path = join(this.root, file);
    const lines = names.map(
      (name) => `${this.imagePath(split, name)}${between}${this.labelPath(split, name)}\n`,
    );
    writeFileSync(path, lines.join(''));
    return path;
  }
}

function cityOf(name: SceneName): string {
  return name.slice(0, name.indexOf('_'));
}
