/** Writes a state dict as a .pth file that torch.load reads with weights_only. */
import { type NamedTensors, safetensorsHeader } from '../safetensors.js';
import { pickleStateDict } from './pickle/writer.js';
import { writeZip } from './zip/writer.js';

/** torch.save names the folder after the file; any name works. */
const FOLDER = 'archive';
/** Version of PyTorch's archive format. */
const VERSION = '3\n';

/**
 * Writes an OrderedDict in the given order, each tensor with its own dtype and storage. Throws
 * SafetensorsError naming the tensor if its bytes don't fit dtype and shape, ZipTooLargeError above 4 GiB.
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
