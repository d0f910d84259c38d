/** `cirkd predict`: a network's predictions for images, as coloured pictures. */
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { readRgb } from '../../../src/data/files/imageFiles.js';
import { paletteOf } from '../../../src/evaluate/palette.js';
import { readPredictions } from '../../../src/evaluate/segmentationMetric.js';
import { readViewLogits } from '../../../src/evaluate/viewLogits.js';
import { type Command, UsageError } from '../command.js';
import {
  PREDICTION_PICTURES,
  picturesFromOption,
  writePredictionPictures,
} from '../drawOptions.js';
import { whiteValueOf } from '../datasetOptions.js';
import { checkImages, listImages } from '../imageInputs.js';
import {
  checkNetworkOptions,
  NETWORK_OPTIONS,
  NETWORK_USAGE,
  openNetwork,
} from '../networkOptions.js';
import { checkOutFolder, makeOutFolder } from '../outFolder.js';
import { SKIP_USAGE, SkippedFiles } from '../skippedFiles.js';
import { VIEW_OPTIONS, VIEW_USAGE, viewsFromOptions } from '../viewOptions.js';

const usage = `cirkd predict (--model PATH | --teacher HOST:PORT) --out DIR IMAGE_OR_FOLDER...

Writes for each image, at its size:
  DIR/<name>-classes.png  every pixel in the colour of its class
  DIR/<name>-overlay.png  the same, blended with the image
Images in a folder keep their subfolders; EXIF orientation is applied. All images are read once before the
first prediction: if one is broken, nothing is written.

${NETWORK_USAGE}
  --out DIR       folder for the pictures; created if it doesn't exist
  --draw A,B,C    which pictures: classes, overlay, ids (class numbers as grey values); default
                  classes,overlay
  --white-value N the value of white in images of more than 8 bits, such as 4095
${SKIP_USAGE}
${VIEW_USAGE}

Exit codes: 0 done, 2 usage, 3 no teacher, 4 the teacher, 5 the model,
6 non-finite logits, 7 an image.`;

/** Number of values that an 8-bit grey pixel can have. */
const MAX_IDS = 256;

async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      ...NETWORK_OPTIONS,
      ...VIEW_OPTIONS,
      out: { type: 'string' },
      draw: { type: 'string', default: 'classes,overlay' },
      'skip-broken': { type: 'boolean', default: false },
      'white-value': { type: 'string' },
    },
  });
  checkNetworkOptions(values);
  if (values.out === undefined) throw new UsageError('--out: none given, wanted a folder');
  const out = checkOutFolder('--out', values.out);
  const views = viewsFromOptions(values);
  const pictures = picturesFromOption(values.draw, PREDICTION_PICTURES);
  const images = listImages(positionals);
  const reading = { whiteValue: whiteValueOf(values['white-value']) };
  const skipped = values['skip-broken'] ? new SkippedFiles() : undefined;
  const network = await openNetwork(values, null);
  try {
    const { classes } = network.segmenter;
    if (pictures.includes('ids') && classes > MAX_IDS) {
      throw new UsageError(
        `--draw: ids given, wanted other pictures: the network has ${classes} classes, grey values number ${MAX_IDS}`,
      );
    }
    const whole = await checkImages(images, reading, skipped);
    const palette = paletteOf(network.classNames);
    for (const { file, name } of whole) {
      const image = await readRgb(file, reading);
      const prediction = await readViewLogits(network.segmenter, image, views, readPredictions);
      const path = join(out, name);
      await makeOutFolder('--out', dirname(path));
      const written = await writePredictionPictures(path, { image, prediction, palette }, pictures);
      process.stdout.write(written.map((one) => `${one}\n`).join(''));
    }
    skipped?.finish(images.length);
    return 0;
  } finally {
    await network.close();
  }
}

export const command: Command = {
  name: 'predict',
  summary: 'Colours the pixels of images by the class that a network predicts.',
  usage,
  run,
};
