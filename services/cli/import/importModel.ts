/** Makes the result of `cirkd import`, before it is written. */
import { existsSync } from 'node:fs';
import { detectBackboneName } from '../../../src/models/foreign/backboneFile.js';
import {
  convertModel,
  readImportSource,
  sourceNotes,
} from '../../../src/models/files/importModel.js';
import { TeacherNetwork } from '../../../src/models/teacher/teacherNetwork.js';
import type { TeacherInfo } from '../../../src/contract/teacherInfo.js';
import { CheckpointError } from '../../../src/wire/checkpointError.js';
import type { NamedTensors } from '../../../src/wire/safetensors.js';
import { isBackboneKey } from '../../setup/backboneFiles.mjs';
import { UsageError } from '../command.js';
import { type DescriptionValues, describeImport } from '../modelOptions.js';
import { backboneStart } from './backboneStart.js';
import { readWeightsFile } from './weightsFile.js';

export interface ImportValues extends DescriptionValues {
  readonly key?: string | undefined;
  readonly 'strip-prefix'?: string | undefined;
  readonly 'backbone-weights'?: string | undefined;
  readonly seed?: string | undefined;
}

export interface Converted {
  readonly bytes: Uint8Array;
  /** Lines that tell the user how the file was interpreted. */
  readonly lines: readonly string[];
}

/**
 * Takes one file, or none with backbone-weights. Throws UsageError, SetupError, CheckpointError naming
 * the file.
 */
export async function importModel(
  files: readonly string[],
  values: ImportValues,
  dtype: 'F32' | 'F16',
): Promise<Converted & { info: TeacherInfo }> {
  const backbone = values['backbone-weights'];
  const wanted = backbone === undefined ? 1 : 0;
  if (files.length !== wanted) {
    const wantedText =
      backbone === undefined ? 'wanted one' : 'wanted none with --backbone-weights';
    throw new UsageError(`import: ${files.length} files given, ${wantedText}`);
  }
  if (backbone === undefined && values.seed !== undefined) {
    throw new UsageError('--seed: given, wanted only with --backbone-weights');
  }
  const file = backbone ?? files[0]!;
  if (backbone === undefined && isBackboneKey(file) && !existsSync(file)) {
    throw new UsageError(`import: ${file} names a backbone's weights: --backbone-weights ${file}`);
  }
  try {
    const converted =
      backbone === undefined
        ? await convert(file, values, dtype)
        : await backboneStart({ ...values, 'backbone-weights': backbone }, dtype);
    // The result is read back before it replaces a file.
    const teacher = TeacherNetwork.load(converted.bytes);
    teacher.dispose();
    return { ...converted, info: teacher.info };
  } catch (error) {
    if (error instanceof CheckpointError) throw new CheckpointError(`${file}: ${error.message}`);
    throw error;
  }
}

async function convert(
  file: string,
  values: ImportValues,
  dtype: 'F32' | 'F16',
): Promise<Converted> {
  const { key, 'strip-prefix': prefix } = values;
  const source = readImportSource(await readWeightsFile(file), { key, prefix });
  const isOwn = source.description !== null;
  if (!isOwn) refuseBackbone(source.tensors);
  const bytes = convertModel(describeImport(source, values), source.tensors, dtype, isOwn);
  return { bytes, lines: sourceNotes(source) };
}

function refuseBackbone(tensors: NamedTensors): void {
  const backbone = detectBackboneName(tensors);
  if (backbone === null) return;
  throw new CheckpointError(
    `weights: of ${backbone} alone, without a head; with --backbone-weights before the file's name ` +
      'a random head is added',
  );
}
