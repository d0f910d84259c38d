/** `cirkd evaluate`: the scores of a model file on a dataset, and pictures of its predictions. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type EvaluatedSample, evaluateDataset } from '../../../src/evaluate/evaluateDataset.js';
import { stripPicture } from '../../../src/evaluate/pictures.js';
import type { Palette } from '../../../src/evaluate/raster.js';
import { scoreReport, scoreTable } from '../../../src/evaluate/scoreTable.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { type Command, UsageError } from '../command.js';
import {
  DATASET_OPTIONS,
  DATASET_USAGE,
  datasetFromOptions,
  wholeNumber,
} from '../datasetOptions.js';
import { openSegmenter } from '../openSegmenter.js';

const usage = `cirkd evaluate --model FILE --data KIND [options]

Prints the IoU of every class, the mean IoU and the pixel accuracy of a model on a dataset, at the
size of the label images.

  --model FILE    a model file (.safetensors): made by import, or student.safetensors of a checkpoint
${DATASET_USAGE}
  --limit N       only the first N samples
  --json          one JSON object on standard output instead of the table
  --pictures DIR  a PNG for each sample: image, truth, prediction

Exit codes: 0 done, 2 usage, 5 the model file, 7 the data.`;

async function run(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      ...DATASET_OPTIONS,
      model: { type: 'string' },
      limit: { type: 'string' },
      json: { type: 'boolean', default: false },
      pictures: { type: 'string' },
    },
  });
  if (values.model === undefined) throw new UsageError('--model: wanted, a model file');
  const limit =
    values.limit === undefined ? {} : { limit: wholeNumber('--limit', values.limit, 1) };
  const dataset = datasetFromOptions(values);
  const model = await openSegmenter(values.model);
  try {
    if (values.pictures !== undefined) await ensureFolder(values.pictures);
    const scores = await evaluateDataset(model, dataset, {
      ...limit,
      onSample: async (evaluated) => {
        showProgress(evaluated);
        if (values.pictures !== undefined) {
          await writePicture(values.pictures, evaluated, dataset.palette);
        }
      },
    });
    const report = scoreReport(scores, dataset.classNames);
    const text = values.json
      ? JSON.stringify({ model: values.model, dataset: dataset.name, ...report }, null, 2)
      : scoreTable(report);
    process.stdout.write(`${text}\n`);
    return 0;
  } finally {
    model.dispose();
  }
}

async function writePicture(
  directory: string,
  { name, sample, prediction }: EvaluatedSample,
  palette: Palette,
): Promise<void> {
  const file = join(directory, `${name.replaceAll('/', '-')}.png`);
  await replaceFile(file, await stripPicture(sample, prediction, palette));
}

/** On a terminal only; the results go to standard output. */
function showProgress({ index, total }: EvaluatedSample): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${index + 1}/${total}${index + 1 === total ? '\n' : ''}`);
}

export const command: Command = {
  name: 'evaluate',
  summary: 'Scores a model on a dataset: IoU a class, mIoU, pixel accuracy, pictures.',
  usage,
  run,
};
