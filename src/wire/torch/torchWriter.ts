/** Writes a state dict as a .pth file, which torch.load takes with weights_only. */
import { type NamedTensors, safetensorsHeader } from '../safetensors.js';
import { pickleStateDict } from './pickle/writer.js';
import { writeZip } from './zip/writer.js';

/** torch.save names it after the file; any name will do. */
const FOLDER = 'archive';
/** Of PyTorch's archives. */
const VERSION = '3\n';

/**
 * An OrderedDict in the given order, each tensor with its own dtype and a storage of its own.
 * Throws an error that names the tensor where bytes don't fit dtype and shape, ZipTooLargeError above 4 GiB.
 */
export function writeTorchCheckpoint(tensors: NamedTensors): Uint8Array {
  // Checks each tensor's bytes.
  safetensorsHeader(tensors);
  const text = (content: string) => new TextEncoder().encode(content);
  const storages = [...tensors.values()].map(
    ({ data }, index) => [`${FOLDER}/data/${index}`, data] as const,
  );
  return writeZip(
    new Map([
      [`${FOLDER}/data.pkl`, pickleStateDict(tensors)],
      [`${FOLDER}/byteorder`, text('little')],
      ...storages,
      [`${FOLDER}/version`, text(VERSION)],
    ]),
  );
}
