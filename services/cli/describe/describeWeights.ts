/** Describes a file of weights for people: the network inferred from them, and its normalisation. */
import { readImportSource } from '../../../src/models/files/importModel.js';
import { specName } from '../../../src/models/spec.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { printable } from '../../../src/wire/printable.js';
import { readInput } from '../inputFile.js';
import { describeImport } from '../modelOptions.js';

const SHOWN = 8;

/** Throws CheckpointError if the file doesn't hold weights. */
export async function describeWeights(path: string): Promise<string[]> {
  try {
    const source = readImportSource(await readInput(path));
    const { tensors, description } = source;
    const kind = description === null ? 'a state dict' : 'a model file';
    const names = [...tensors].map(
      ([name, { dtype, shape }]) => `  ${printable(name)} ${dtype} [${shape.join(', ')}]`,
    );
    const left = names.length - SHOWN;
    return [
      `${path}: ${kind} of ${names.length} tensors`,
      ...names.slice(0, SHOWN),
      ...(left > 0 ? [`  and ${left} more`] : []),
      ...networkLines(source, path),
    ];
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${path}: ${error.message}`);
    throw error;
  }
}

function networkLines(source: Parameters<typeof describeImport>[0], path: string): string[] {
  try {
    const { spec, normalisation, classNames } = describeImport(source, {});
    const { pixelMean, pixelStd, channelOrder } = normalisation;
    const from = source.description === null ? 'names and shapes' : 'its description';
    return [
      `network: ${specName(spec)}, ${classNames.length} classes (${from})`,
      `pixels: ${channelOrder} less ${pixelMean.join(', ')}, divided by ${pixelStd.join(', ')} (${source.description === null ? "not said in the file: those of the network's origin; --pixel-mean and so on say otherwise" : 'its description'})`,
      source.description === null
        ? `it can be imported: cirkd import ${path} --out FILE.safetensors`
        : 'it can be served: cirkd teacher --checkpoint',
    ];
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    return ['missing', `  the network (${error.message})`];
  }
}
