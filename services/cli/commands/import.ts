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
  and PSPNet, alone or under a key such as "state_dict"; nothing in it is executed, and objects beside
  the weights are named and left out;
  safetensors of such a state dict;
  or a model file (student.safetensors of a checkpoint).
What wrappers put before every name (module., _orig_mod., model., net., student. or another prefix that
all names share) is told and taken off. The weights must be exactly those of the network: all names that
are missing or unexpected and all wrong shapes are listed. Batch counts (num_batches_tracked) may be missing.

  --out FILE             the model file; replaced if it is there
  --precision fp32|fp16  of the weights in it (default fp32); fp16 halves it and rounds them, running
                         statistics stay fp32
  --key NAME             of a PyTorch file: the key under which the state dict is, with dots between
                         several; the usual ones are found without it
  --strip-prefix PREFIX  takes only the names that begin so, without it (student. of a file that has
                         teacher., too)

With --backbone-weights the file begins a student: its backbone is ImageNet's, its head drawn from a seed.
  --backbone-weights imagenet|FILE
                         imagenet: torchvision's MobileNetV2, brought into the cache; or a backbone's
                         file (.pth, .safetensors)
  --seed N               for the head (default 0): what a student of that seed would draw

A model file describes its network. Of other files the network is told from names and shapes (v1 and v2
by the channels of head.block.0.weight), the classes are numbered, and the normalisation is the network's:
of CIRKD's code BGR less 104.00698793, 116.66876762, 122.67891434, not scaled; of torchvision and
mmsegmentation RGB less 123.675, 116.28, 103.53, divided by 58.395, 57.12, 57.375; with --backbone-weights
that of the backbone's publisher. Theirs may come without the auxiliary head. Of mmsegmentation's checkpoints
the config beside the weights is read, too: pixels, classes, align_corners; other strides or dilations are
refused. Where there is no config, align_corners is False. These override it:
${MODEL_USAGE}

${DESCRIBE_USAGE}

Exit codes: 0 done, 2 usage or not to be had, 5 a file that can't be used.`;

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
  const said = [
    ...lines,
    `${out}: ${info.model}, ${info.classes} classes, ${values.precision}, ${bytes.length} bytes`,
    `pixels: ${normalisationText(info)}`,
    `digest as a teacher: ${info.digest}`,
  ];
  process.stdout.write(said.map((line) => `${line}\n`).join(''));
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
