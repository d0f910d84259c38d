/** `cirkd import`: a model file from safetensors of other origin or precision. */
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { convertModel, readImportSource } from '../../../src/models/importModel.js';
import { TeacherNetwork, type TeacherNetworkInfo } from '../../../src/models/teacherNetwork.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { type Command, UsageError } from '../command.js';
import { type DescriptionValues, MODEL_OPTIONS, MODEL_USAGE, overlay } from '../modelOptions.js';

const usage = `cirkd import FILE --out FILE.safetensors [options]

Makes a model file, which teacher, evaluate, predict and student.weights take. FILE is a model file
(student.safetensors of a checkpoint), or a plain safetensors state dict with the official names
(a prefix "module." is taken off). The weights must be exactly those of the network: names that are
missing or unexpected and wrong shapes are listed. PyTorch files (.pth) are not read yet.

  --out FILE             the model file; replaced if it is there
  --precision fp32|fp16  of the weights in it (default fp32); fp16 halves it and rounds them

A model file describes its network; these override what it says. For a plain state dict all but
--variant and --width must be given:
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
    },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    throw new UsageError(`import: ${positionals.length} files given, one wanted`);
  }
  const out = checkOut(values.out);
  const dtype = dtypeOf(values.precision);
  const { bytes, info } = await convert(file, values, dtype);
  await ensureFolder(dirname(out));
  await replaceFile(out, bytes);
  process.stdout.write(
    `${out}: ${info.model}, ${info.classes} classes, ${values.precision}, ${bytes.length} bytes\n` +
      `digest as a teacher: ${info.digest}\n`,
  );
  return 0;
}

async function convert(
  file: string,
  values: DescriptionValues,
  dtype: 'F32' | 'F16',
): Promise<{ bytes: Uint8Array; info: TeacherNetworkInfo }> {
  try {
    const { description, tensors } = readImportSource(await read(file));
    const bytes = convertModel(overlay(description, values), tensors, dtype);
    // What was made is read back before it takes anything's place.
    const teacher = TeacherNetwork.load(bytes);
    teacher.dispose();
    return { bytes, info: teacher.info };
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new CheckpointError((error as Error).message);
  }
}

function checkOut(out: string | undefined): string {
  if (out === undefined) throw new UsageError('--out: wanted, a .safetensors file');
  if (!out.endsWith('.safetensors')) {
    throw new UsageError(`--out: ${out} given, wanted a name ending in .safetensors`);
  }
  if (existsSync(out) && statSync(out).isDirectory()) {
    throw new UsageError(`--out: ${out} is a folder`);
  }
  return out;
}

function dtypeOf(precision: string): 'F32' | 'F16' {
  if (precision === 'fp32') return 'F32';
  if (precision === 'fp16') return 'F16';
  throw new UsageError(`--precision: ${precision} given, wanted fp32 or fp16`);
}

export const command: Command = {
  name: 'import',
  summary: 'Makes a model file from a checkpoint or a safetensors state dict.',
  usage,
  run,
};
