/** `cirkd evaluate`: the scores of a network on a dataset, and pictures of its predictions. */
import { parseArgs } from 'node:util';
import { openDataset } from '../../../src/data/datasets.js';
import type { Dataset } from '../../../src/data/types.js';
import { type EvaluatedSample, evaluateDataset } from '../../../src/evaluate/evaluateDataset.js';
import {
  confusionTable,
  type ScoreReport,
  scoreReport,
  scoreTable,
} from '../../../src/evaluate/scoreTable.js';
import type { Views } from '../../../src/evaluate/views.js';
import type { Command } from '../command.js';
import { DATASET_OPTIONS, DATASET_USAGE, datasetConfig, wholeNumber } from '../datasetOptions.js';
import {
  checkPictureNames,
  PICTURES,
  type Picture,
  picturesFromOption,
  writeSamplePictures,
} from '../drawOptions.js';
import {
  checkNetworkOptions,
  NETWORK_OPTIONS,
  NETWORK_USAGE,
  openNetwork,
} from '../networkOptions.js';
import { checkOutFolder, makeOutFolder } from '../outFolder.js';
import { writeScoreFiles } from '../scoreFiles.js';
import { reportWarning, SKIP_USAGE, SkippedFiles } from '../skippedFiles.js';
import { type SeenPixels, unlabelled } from '../../../src/evaluate/unlabelled.js';
import { describeViews, VIEW_OPTIONS, VIEW_USAGE, viewsFromOptions } from '../viewOptions.js';

const usage = `cirkd evaluate (--model PATH | --teacher HOST:PORT) --data KIND [options]

Prints the IoU of every class, the mean IoU and the pixel accuracy of a network on a dataset, at the
size of the label images. docs/evaluate.md explains how the figures are computed.

${NETWORK_USAGE}
${DATASET_USAGE}
  --limit N       only the first N samples
${VIEW_USAGE}
${SKIP_USAGE}
  --confusion     also prints the confusion matrix, in percent of each class's labels
  --json          prints one JSON object instead of the tables
  --out DIR       writes scores.json, scores.txt, classes.csv and confusion.csv
  --pictures DIR  writes pictures of each sample
  --draw A,B,C    which pictures: strip (image, truth, prediction, errors), classes, overlay, ids (class numbers
                  as grey values), errors (red where wrong, grey where no label counts); default strip

Exit codes: 0 done, 2 usage, 3 no teacher, 4 a teacher with other classes, 5 the model,
6 non-finite logits, 7 the data.`;

const OPTIONS = {
  ...NETWORK_OPTIONS,
  ...DATASET_OPTIONS,
  ...VIEW_OPTIONS,
  limit: { type: 'string' },
  confusion: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  out: { type: 'string' },
  pictures: { type: 'string' },
  draw: { type: 'string', default: 'strip' },
  'skip-broken': { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof readValues>;

function readValues(argv: string[]) {
  return parseArgs({ args: argv, options: OPTIONS }).values;
}

async function run(argv: string[]): Promise<number> {
  const values = readValues(argv);
  checkNetworkOptions(values);
  const views = viewsFromOptions(values);
  const pictures = picturesFromOption(values.draw, PICTURES);
  if (values.limit !== undefined) wholeNumber('--limit', values.limit, 1);
  if (values.out !== undefined) checkOutFolder('--out', values.out);
  if (values.pictures !== undefined) checkOutFolder('--pictures', values.pictures);
  const skipped = values['skip-broken'] ? new SkippedFiles() : undefined;
  const config = { ...datasetConfig(values), tolerant: skipped !== undefined };
  const dataset = openDataset(config);
  const seen = { images: 0, pixels: 0 };
  const { report, source } = await evaluate(values, dataset, views, pictures, { seen, skipped });
  if (report.labelledPixels === 0)
    process.stderr.write(`warning: ${unlabelled(dataset.name, seen)}\n`);
  const about = { ...source, dataset: dataset.name, ...describeViews(views), ...report };
  const tables = [scoreTable(report), ...(values.confusion ? [confusionTable(report)] : [])];
  if (values.out !== undefined) {
    await makeOutFolder('--out', values.out);
    await writeScoreFiles(values.out, about);
  }
  process.stdout.write(`${values.json ? JSON.stringify(about, null, 2) : tables.join('\n\n')}\n`);
  skipped?.finish(Math.min(dataset.samples.length, Number(values.limit ?? Infinity)));
  return 0;
}

async function evaluate(
  values: Values,
  dataset: Dataset,
  views: Views,
  pictures: readonly Picture[],
  { seen, skipped }: { readonly seen: SeenPixels; readonly skipped: SkippedFiles | undefined },
): Promise<{ report: ScoreReport; source: object }> {
  const { limit, pictures: folder } = values;
  const network = await openNetwork(values, dataset.classNames.length);
  try {
    noteOtherNames(network.classNames, dataset.classNames);
    if (folder !== undefined) {
      checkPictureNames(dataset.samples);
      await makeOutFolder('--pictures', folder);
    }
    const scores = await evaluateDataset(network.segmenter, dataset, {
      ...(limit === undefined ? {} : { limit: Number(limit) }),
      views,
      ...(skipped === undefined ? {} : { onBroken: (error) => skipped.add(error) }),
      onSample: async (evaluated) => {
        showProgress(evaluated);
        const { warning, labels } = evaluated.sample;
        seen.images++;
        seen.pixels += labels.length;
        if (warning !== undefined) reportWarning(warning);
        if (folder === undefined) return;
        await writeSamplePictures(folder, evaluated, dataset.palette, pictures);
      },
    });
    return { report: scoreReport(scores, dataset.classNames), source: network.source };
  } finally {
    await network.close();
  }
}

/** Warns of equally many classes with other names; not an error, since files may lack the names. */
function noteOtherNames(network: readonly string[], dataset: readonly string[]): void {
  if (network.length !== dataset.length) return;
  const k = dataset.findIndex((name, index) => name !== network[index]);
  if (k < 0) return;
  process.stderr.write(
    `classes: ${k} is ${JSON.stringify(network[k])} in the network, ${JSON.stringify(dataset[k])} in the dataset\n`,
  );
}

/** Shows progress on a terminal only; the results go to standard output. */
function showProgress({ index, total }: EvaluatedSample): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r${index + 1}/${total}${index + 1 === total ? '\n' : ''}`);
}

export const command: Command = {
  name: 'evaluate',
  summary: 'Scores a network on a dataset: IoU per class, mIoU, confusion matrix, pictures.',
  usage,
  run,
};
