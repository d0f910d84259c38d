/** Half the height and width, for images and for label maps; an odd last row or column goes. */
import type { DecodedPixels } from '../../src/data/files/labelFiles.js';
import type { Raster } from '../../src/evaluate/raster.js';

/** A pixel is the rounded mean of the four that it covers. */
export function halfImage({ height, width, rgb }: Raster): Raster {
  const [halfHeight, halfWidth] = [height >> 1, width >> 1];
  const half = new Uint8Array(halfHeight * halfWidth * 3);
  for (let y = 0; y < halfHeight; y++) {
    for (let x = 0; x < halfWidth; x++) {
      for (let channel = 0; channel < 3; channel++) {
        const at = (2 * y * width + 2 * x) * 3 + channel;
        const below = at + width * 3;
        const sum = rgb[at]! + rgb[at + 3]! + rgb[below]! + rgb[below + 3]!;
        half[(y * halfWidth + x) * 3 + channel] = Math.round(sum / 4);
      }
    }
  }
  return { height: halfHeight, width: halfWidth, rgb: half };
}

/** The upper left number of each four: class numbers have no mean. */
export function halfLabels({ height, width, values }: DecodedPixels): DecodedPixels {
  const [halfHeight, halfWidth] = [height >> 1, width >> 1];
  const half = new Uint8Array(halfHeight * halfWidth);
  for (let i = 0; i < half.length; i++) {
    half[i] = values[2 * Math.floor(i / halfWidth) * width + 2 * (i % halfWidth)]!;
  }
  return { height: halfHeight, width: halfWidth, values: half };
}
