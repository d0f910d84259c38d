/** `cirkd import`: a model file from PyTorch's files, or safetensors of other origin or precision. */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { normalisationText } from '../../../src/models/normalise.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { type Command, UsageError } from '../command.js';
import { DESCRIBE_USAGE, describeFile } from '../describe/describeFile.js';
import { importModel } from '../import/importModel.js';
import { MODEL_OPTIONS, MODEL_USAGE } from '../modelOptions.js';
import { checkOutFile } from '../outFile.js';

const usage = `cirkd import FILE --out FILE.safetensors [options]
cirkd import --backbone-weights imagenet|FILE --model NAME --classes A,B,C --out FILE.safetensors

Makes a model file, which teacher, evaluate, predict and student.weights take. FILE is
  a PyTorch file (.pth, as any torch.save since 0.1.10 writes it) of a state dict with the names of
  CIRKD's code, torchvision's deeplabv3_resnet50/101 and fcn_resnet50/101 or mmsegmentation's DeepLabV3
  and PSPNet, alone or under a key such as "state_dict"; nothing in it is executed; objects other than
  the weights are named and skipped;
  safetensors of such a state dict;
  or a model file (student.safetensors of a checkpoint).
A prefix that wrappers put before every name (module., _orig_mod., model., net., student. or any other that
all names share) is detected and removed. The weights must match the network exactly: all missing and
unexpected names and all wrong shapes are listed. Batch counts (num_batches_tracked) may be missing.

  --out FILE             the model file; replaced if it exists
  --precision fp32|fp16  precision of the weights in the model file (default fp32); fp16 halves its size and
                         rounds the weights, running statistics stay fp32
  --key NAME             key of the state dict in a PyTorch file, with dots between nested keys; the usual
                         ones are found without this option
  --strip-prefix PREFIX  imports only the names with this prefix, and removes it (such as student. in a
                         file that also contains teacher.)

With --backbone-weights the model file holds initial weights of a student: a pretrained backbone and a random
head.
  --backbone-weights imagenet|FILE
                         imagenet: torchvision's MobileNetV2, downloaded into the cache; or a file of
                         backbone weights (.pth, .safetensors)
  --seed N               seed of the head (default 0): the same head as a student with this seed

A model file describes its network. For other files the network is detected from names and shapes (v1 and v2
by the channels of head.block.0.weight), the classes are numbered, and the normalisation is the default of
the network's origin: for CIRKD's code BGR minus 104.00698793, 116.66876762, 122.67891434, not scaled; for
torchvision and mmsegmentation RGB minus 123.675, 116.28, 103.53, divided by 58.395, 57.12, 57.375; with
--backbone-weights that of the backbone's publisher. Networks of torchvision and mmsegmentation may lack the
auxiliary head. From mmsegmentation's checkpoints the stored config is also read: pixels, classes,
align_corners; other strides or dilations are refused. Without a config, align_corners is False. These
options override what was detected:
${MODEL_USAGE}

${DESCRIBE_USAGE}

Exit codes: 0 done, 2 usage or a failed download, 5 a file that can't be used.`;

async function run(argv: string[]): Promise<number> {
  if (argv.some((word) => word === '--describe' || word.startsWith('--describe='))) {
    return describeFile(argv);
  }
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      ...MODEL_OPTIONS,
      out: { type: 'string' },
      precision: { type: 'string', default: 'fp32' },
      key: { type: 'string' },
      'strip-prefix': { type: 'string' },
      'backbone-weights': { type: 'string' },
      seed: { type: 'string' },
    },
  });
  const out = checkOutFile(values.out, '.safetensors');
  const dtype = dtypeOf(values.precision);
  if (values['strip-prefix'] === '')
    throw new UsageError("--strip-prefix: '' given, wanted a name");
  const { bytes, info, lines } = await importModel(positionals, values, dtype);
  await ensureFolder(dirname(out));
  await replaceFile(out, bytes);
  const summary = [
    ...lines,
    `${out}: ${info.model}, ${info.classes} classes, ${values.precision}, ${bytes.length} bytes`,
    `pixels: ${normalisationText(info)}`,
    `digest as a teacher: ${info.digest}`,
  ];
  process.stdout.write(summary.map((line) => `${line}\n`).join(''));
  return 0;
}

function dtypeOf(precision: string): 'F32' | 'F16' {
  if (precision === 'fp32') return 'F32';
  if (precision === 'fp16') return 'F16';
  throw new UsageError(`--precision: ${precision} given, wanted fp32 or fp16`);
}

export const command: Command = {
  name: 'import',
  summary: 'Makes a model file from a .pth file, a checkpoint or a safetensors state dict.',
  usage,
  run,
};
