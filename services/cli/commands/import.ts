/** `cirkd import`: a model file from PyTorch's files, or safetensors of other origin or precision. */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { convertModel, readImportSource } from '../../../src/models/importModel.js';
import { TeacherNetwork, type TeacherNetworkInfo } from '../../../src/models/teacherNetwork.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { type Command, UsageError } from '../command.js';
import { readInput } from '../inputFile.js';
import {
  type DescriptionValues,
  describeImport,
  MODEL_OPTIONS,
  MODEL_USAGE,
} from '../modelOptions.js';
import { checkOutFile } from '../outFile.js';

const usage = `cirkd import FILE --out FILE.safetensors [options]

Makes a model file, which teacher, evaluate, predict and student.weights take. FILE is
  a PyTorch file (.pth, as torch.save writes it since 1.6) of a state dict with the names of CIRKD's
  code, torchvision's deeplabv3_resnet50/101 and fcn_resnet50/101 or mmsegmentation's DeepLabV3 and
  PSPNet, alone or under a key such as "state_dict"; nothing in it is executed;
  safetensors of such a state dict;
  or a model file (student.safetensors of a checkpoint).
A prefix "module." is taken off. The weights must be exactly those of the network: all names that are
missing or unexpected and all wrong shapes are listed. A backbone's file alone (ImageNet) is for
student.backboneWeights and isn't imported.

  --out FILE             the model file; replaced if it is there
  --precision fp32|fp16  of the weights in it (default fp32); fp16 halves it and rounds them
  --key NAME             of a PyTorch file: the key under which the state dict is, with dots between
                         several; the usual ones are found without it

A model file describes its network. Of other files the network is told from names and shapes (v1 and v2
by the channels of head.block.0.weight), the classes are numbered, and the normalisation is the network's:
of CIRKD's code BGR less 104.00698793, 116.66876762, 122.67891434, not scaled; of torchvision and
mmsegmentation RGB less 123.675, 116.28, 103.53, divided by 58.395, 57.12, 57.375. Theirs may come without
the auxiliary head. mmsegmentation's are taken to have align_corners=False, as all its configs but those
for crops of 769 x 769 have. These override it:
${MODEL_USAGE}

Exit codes: 0 done, 2 usage, 5 a file that can't be used.`;

async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      ...MODEL_OPTIONS,
      out: { type: 'string' },
      precision: { type: 'string', default: 'fp32' },
      key: { type: 'string' },
    },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    throw new UsageError(`import: ${positionals.length} files given, one wanted`);
  }
  const out = checkOutFile(values.out, '.safetensors');
  const dtype = dtypeOf(values.precision);
  const { bytes, info } = await convert(file, values, dtype);
  await ensureFolder(dirname(out));
  await replaceFile(out, bytes);
  process.stdout.write(
    `${out}: ${info.model}, ${info.classes} classes, ${values.precision}, ${bytes.length} bytes\n` +
      `pixels: ${info.channelOrder} less ${info.pixelMean.join(', ')}, divided by ${info.pixelStd.join(', ')}\n` +
      `digest as a teacher: ${info.digest}\n`,
  );
  return 0;
}

async function convert(
  file: string,
  values: DescriptionValues & { readonly key?: string | undefined },
  dtype: 'F32' | 'F16',
): Promise<{ bytes: Uint8Array; info: TeacherNetworkInfo }> {
  try {
    const source = readImportSource(await readInput(file), values.key);
    const bytes = convertModel(describeImport(source, values), source.tensors, dtype);
    // What was made is read back before it takes anything's place.
    const teacher = TeacherNetwork.load(bytes);
    teacher.dispose();
    return { bytes, info: teacher.info };
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
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
