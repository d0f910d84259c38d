/** Colours for classes that have none. */

/**
 * The colour map of the PASCAL VOC development kit (Everingham et al., 2010): the bits of the class
 * number, three at a time, become the high bits of red, green and blue. Class 0 is black.
 */
export function generalPalette(classes: number): [number, number, number][] {
  return Array.from({ length: classes }, (_, label) => {
    const colour: [number, number, number] = [0, 0, 0];
    for (let bits = label, bit = 7; bits > 0; bits >>= 3, bit--) {
      for (const channel of [0, 1, 2] as const) {
        colour[channel] |= ((bits >> channel) & 1) << bit;
      }
    }
    return colour;
  });
}
