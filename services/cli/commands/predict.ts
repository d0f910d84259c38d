/** `cirkd predict`: what a model sees in images, as coloured pictures. */
import { basename, extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readRgb } from '../../../src/data/imageFiles.js';
import { paletteOf } from '../../../src/evaluate/palette.js';
import { overlay } from '../../../src/evaluate/pictures.js';
import { predictLabels } from '../../../src/evaluate/predict.js';
import { colourLabels, encodePng } from '../../../src/evaluate/raster.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { type Command, UsageError } from '../command.js';
import { openSegmenter } from '../openSegmenter.js';

const usage = `cirkd predict --model FILE --out DIR IMAGE...

Writes for each image, at its size:
  DIR/<name>-classes.png  every pixel in the colour of its class
  DIR/<name>-overlay.png  the same over the image

  --model FILE  a model file (.safetensors)
  --out DIR     folder for the pictures; made if it isn't there

Exit codes: 0 done, 2 usage, 5 the model file, 7 an image.`;

async function run(argv: string[]): Promise<number> {
  const { values, positionals: images } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { model: { type: 'string' }, out: { type: 'string' } },
  });
  if (values.model === undefined) throw new UsageError('--model: wanted, a model file');
  if (values.out === undefined) throw new UsageError('--out: wanted, a folder');
  const names = pictureNames(images);
  const model = await openSegmenter(values.model);
  try {
    await ensureFolder(values.out);
    const palette = paletteOf(model.description.classNames);
    for (const [i, file] of images.entries()) {
      const image = await readRgb(file);
      const labels = predictLabels(model, image);
      const { height, width } = image;
      const target = join(values.out, names[i]!);
      const classes = colourLabels({ height, width, labels }, palette);
      await replaceFile(`${target}-classes.png`, await encodePng(classes));
      await replaceFile(`${target}-overlay.png`, await encodePng(overlay(image, labels, palette)));
      process.stdout.write(`${target}-classes.png\n${target}-overlay.png\n`);
    }
    return 0;
  } finally {
    model.dispose();
  }
}

/** File names without extension; two images of one name would overwrite each other's pictures. */
function pictureNames(images: readonly string[]): string[] {
  if (images.length === 0) throw new UsageError('predict: no images given');
  const names = images.map((file) => basename(file, extname(file)));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new UsageError(`predict: two images are called ${twice}`);
  return names;
}

export const command: Command = {
  name: 'predict',
  summary: 'Colours images by the classes that a model sees in them.',
  usage,
  run,
};
