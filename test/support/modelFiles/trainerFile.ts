/** A .pth file as trainers save one: the state dict beside the settings of the run. */
import type { NamedTensors } from '../../../src/wire/safetensors.js';
import { writeTorchCheckpoint } from '../../../src/wire/torch/torchWriter.js';
import { readZip } from '../../../src/wire/torch/zip/reader.js';
import { writeZip } from '../../../src/wire/torch/zip/writer.js';
import { dict, madePickle, raw } from './madePickle.js';

/** With an argparse.Namespace under "args". */
export function writeTrainerFile(tensors: NamedTensors): Uint8Array {
  const entries = readZip(writeTorchCheckpoint(tensors));
  return writeZip(
    new Map(
      [...entries].map(([name, data]) => [name, name.endsWith('.pkl') ? beside(data) : data]),
    ),
  );
}

function beside(pickle: Uint8Array): Uint8Array {
  // Less PROTO and STOP.
  const state = pickle.subarray(2, -1);
  const settings = raw('cargparse\nNamespace\n)', 0x81, dict(['lr', raw('K', 1)]), 'b');
  return madePickle(dict(['epoch', raw('K', 7)], ['state_dict', state], ['args', settings]));
}
