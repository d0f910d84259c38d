/** The initial weights of a new run's student: of the whole network, or of its backbone. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { StudentConfig } from '../../src/config/student.js';
import { loadBackboneWeights } from '../../src/models/files/backboneWeights.js';
import { readBackboneFile } from '../../src/models/foreign/backboneFile.js';
import {
  type ImportSource,
  readImportSource,
  sourceNotes,
} from '../../src/models/files/importModel.js';
import { readModelFile } from '../../src/models/files/modelFile.js';
import type { SegmentationNetwork } from '../../src/models/network.js';
import {
  isSameNormalisation,
  normalisationText,
  type PixelNormalisation,
} from '../../src/models/normalise.js';
import { CheckpointError } from '../../src/wire/checkpointError.js';
import { ensureNamedBackbone, isBackboneKey } from '../setup/backboneFiles.mjs';

/** Initial weights, in a form that can cross threads. */
export interface StartWeights {
  /** The key in the config's student section. */
  readonly key: 'weights' | 'backboneWeights';
  /** The config's value: a path, or imagenet. */
  readonly file: string;
  readonly prefix: string | null;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes, lower-case hexadecimal. */
  readonly sha256: string;
}

export interface StartNotes {
  info(message: string): void;
  warn(message: string): void;
}

const SILENT: StartNotes = { info: () => undefined, warn: () => undefined };

/**
 * null if all weights are drawn from the seed. Reports a download, the file's unused names, and a
 * normalisation that the weights weren't trained with. Throws CheckpointError naming key and file,
 * SetupError if weights given by name can't be downloaded.
 */
export async function readStartWeights(
  { student }: StudentConfig,
  notes: StartNotes = SILENT,
): Promise<StartWeights | null> {
  const key = student.weights === null ? 'backboneWeights' : 'weights';
  const file = student[key];
  if (file === null) return null;
  const path = await pathOf(key, file, student.backbone, notes);
  try {
    const bytes = await readFile(path);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const start = { key, file, prefix: student.backboneWeightsPrefix, bytes, sha256 } as const;
    tell(start, student, notes);
    return start;
  } catch (error) {
    throw named(key, file, error);
  }
}

/** Throws CheckpointError naming key and file if the weights don't fit the network. */
export function loadStartWeights(network: SegmentationNetwork, start: StartWeights): void {
  const { key, file, bytes } = start;
  try {
    if (key === 'weights') network.loadStateDict(readModelFile(bytes).tensors, { strict: true });
    else loadBackboneWeights(network, backboneSource(start).tensors);
  } catch (error) {
    throw error instanceof CheckpointError ? named(key, file, error) : error;
  }
}

async function pathOf(
  key: StartWeights['key'],
  file: string,
  backbone: string,
  notes: StartNotes,
): Promise<string> {
  if (key === 'weights' || !isBackboneKey(file)) return file;
  const say = (text: string) => notes.info(`student.${key}: ${text}`);
  return (await ensureNamedBackbone(file, backbone, process.env, say)).file;
}

function backboneSource({ bytes, prefix }: StartWeights): ImportSource {
  return readImportSource(bytes, { namesOf: 'backbone', prefix: prefix ?? undefined });
}

function tell(start: StartWeights, pixels: PixelNormalisation, notes: StartNotes): void {
  const at = `student.${start.key}: ${start.file}`;
  if (start.key === 'weights') {
    const { normalisation } = readModelFile(start.bytes).description;
    warnOfPixels(at, normalisation, pixels, notes);
    return;
  }
  const source = backboneSource(start);
  const { leftOut, normalisation } = readBackboneFile(source.tensors);
  for (const note of sourceNotes(source)) notes.info(`${at}: ${note}`);
  if (leftOut.length > 0) notes.info(`${at}: not used: ${leftOut.join(', ')}`);
  warnOfPixels(at, normalisation, pixels, notes);
}

function warnOfPixels(
  at: string,
  trained: PixelNormalisation,
  { pixelMean, pixelStd, channelOrder }: PixelNormalisation,
  notes: StartNotes,
): void {
  const here = { pixelMean, pixelStd, channelOrder };
  if (isSameNormalisation(trained, here)) return;
  notes.warn(
    `${at}: weights of this kind are trained on pixels ${normalisationText(trained)}; ` +
      `this student's are ${normalisationText(here)} (student.pixelMean, pixelStd, channelOrder)`,
  );
}

function named(key: StartWeights['key'], file: string, error: unknown): CheckpointError {
  return new CheckpointError(`student.${key}: ${file}: ${(error as Error).message}`);
}
