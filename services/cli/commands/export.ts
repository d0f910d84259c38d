/** `cirkd export`: the weights of a model file for PyTorch. */
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { exportModel } from '../../../src/models/files/exportModel.js';
import { ensureFolder, replaceFile } from '../../../src/run/durableFiles.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { type Command, UsageError } from '../command.js';
import { readInput } from '../inputFile.js';
import { checkOutFile } from '../outFile.js';

const usage = `cirkd export FILE --out FILE.pth

Writes the weights of a model file (made by import, or student.safetensors of a checkpoint) as
torch.save would: a state dict with the official names, layouts and types (float32, counts int64). In
Python:

  state = torch.load('FILE.pth', weights_only=True)
  model.load_state_dict(state, strict=True)

The description of the network and its normalisation aren't part of the .pth file: they are printed.

  --out FILE  the .pth file; replaced if it exists

Exit codes: 0 done, 2 usage, 5 a model file that can't be used.`;

async function run(argv: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { out: { type: 'string' } },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1) {
    throw new UsageError(`export: ${positionals.length} files given, wanted one`);
  }
  const out = checkOutFile(values.out, '.pth');
  const { bytes, lines } = await convert(file);
  await ensureFolder(dirname(out));
  await replaceFile(out, bytes);
  process.stdout.write(`${out}: ${bytes.length} bytes\n${lines.join('\n')}\n`);
  return 0;
}

async function convert(file: string) {
  try {
    return exportModel(await readInput(file));
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
}

export const command: Command = {
  name: 'export',
  summary: 'Writes the weights of a model file as a .pth file for PyTorch.',
  usage,
  run,
};
