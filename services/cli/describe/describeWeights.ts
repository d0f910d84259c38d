/** Describes a file of weights for people: the network told from them, and whether they fit it. */
import { detectBackboneName } from '../../../src/models/foreign/backboneFile.js';
import {
  convertModel,
  type ImportChoices,
  type ImportSource,
  readImportSource,
  sourceNotes,
} from '../../../src/models/files/importModel.js';
import type { ModelDescription } from '../../../src/models/files/modelFile.js';
import { specName } from '../../../src/models/spec.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import { printable } from '../../../src/wire/printable.js';
import { readWeightsFile } from '../import/weightsFile.js';
import { describeImport } from '../modelOptions.js';
import { settingLines } from './weightSettings.js';

const SHOWN = 8;

/** Throws CheckpointError if the file doesn't hold weights. */
export async function describeWeights(path: string, choices: ImportChoices): Promise<string[]> {
  try {
    const bytes = await readWeightsFile(path);
    const source = readImportSource(bytes, choices);
    const { tensors, description } = source;
    const kind = description === null ? 'a state dict' : 'a model file';
    const names = [...tensors].map(
      ([name, { dtype, shape }]) => `  ${printable(name)} ${dtype} [${shape.join(', ')}]`,
    );
    const left = names.length - SHOWN;
    return [
      `${path}: ${kind} of ${names.length} tensors`,
      ...sourceNotes(source),
      ...names.slice(0, SHOWN),
      ...(left > 0 ? [`  and ${left} more`] : []),
      ...networkLines(source, bytes, path, choices),
    ];
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${path}: ${error.message}`);
    throw error;
  }
}

function networkLines(
  source: ImportSource,
  bytes: Uint8Array,
  path: string,
  choices: ImportChoices,
): string[] {
  const options = optionsText(choices);
  let described: ModelDescription;
  try {
    described = describeImport(source, {});
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const backbone = bareBackbone(source, bytes, choices);
    if (backbone === null) return ['not recognised', `  the network (${error.message})`];
    return [
      `network: none, the weights are of ${backbone} alone, without a head`,
      'a student can start from them: ' +
        `cirkd import --backbone-weights ${path}${options} --model NAME --classes A,B,C --out FILE.safetensors`,
    ];
  }
  return [
    `network: ${specName(described.spec)} (${source.description === null ? 'names and shapes' : 'its description'})`,
    ...settingLines(described, source),
    ...fitLines(described, source, `${path}${options}`),
  ];
}

/** Loads the weights as import does. */
function fitLines(described: ModelDescription, source: ImportSource, file: string): string[] {
  const isOwn = source.description !== null;
  try {
    convertModel(described, source.tensors, 'F32', isOwn);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const parts = error.message.replace(/^weights: /, '').split('; ');
    return ['does not fit', ...parts.map((part) => `  ${part}`)];
  }
  return [
    isOwn
      ? 'it can be served: cirkd teacher --checkpoint'
      : `it can be imported: cirkd import ${file} --out FILE.safetensors`,
  ];
}

/** The name of the backbone whose weights these are; null if they are others. */
function bareBackbone(
  source: ImportSource,
  bytes: Uint8Array,
  choices: ImportChoices,
): string | null {
  if (source.description !== null) return null;
  try {
    const { tensors } = readImportSource(bytes, { ...choices, namesOf: 'backbone' });
    return detectBackboneName(tensors);
  } catch (error) {
    if (error instanceof CheckpointError) return null;
    throw error;
  }
}

function optionsText({ key, prefix }: ImportChoices): string {
  const keyed = key === undefined ? '' : ` --key ${printable(key)}`;
  return prefix === undefined ? keyed : `${keyed} --strip-prefix ${printable(prefix)}`;
}
