/** Labels of which every pixel is ignored: the scores of nothing look like those of a bad network. */

export interface SeenPixels {
  images: number;
  pixels: number;
}

/** What to warn of. `of`: the dataset, or what was read of it. */
export function unlabelled(of: string, { images, pixels }: SeenPixels): string {
  return `${of}: no pixel has a class, all ${pixels} in ${images} images are ignored. Are these the right labels and class table?`;
}
