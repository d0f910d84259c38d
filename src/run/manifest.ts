/** manifest.json: the content of a checkpoint and the run, teacher and data that it belongs to. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { CheckpointError } from '../wire/checkpointError.js';

export const MANIFEST_NAME = 'manifest.json';
export const FORMAT_VERSION = 1;

/** File names are checked, because a manifest must not refer to files outside of its folder. */
const FILE_NAME = /^[A-Za-z0-9_-]+\.safetensors$/;
const HASH = /^[0-9a-f]{64}$/;

const manifestSchema = z.strictObject({
  formatVersion: z.literal(FORMAT_VERSION),
  packageVersion: z.string(),
  step: z.number().int().min(0),
  /** Digest of the teacher whose replies trained this state; null: trained on labels alone. */
  teacherDigest: z.string().nullable(),
  /** Hash of the list of training samples. */
  datasetHash: z.string(),
  /** The resolved config. */
  config: z.record(z.string(), z.unknown()),
  /** Small values that a resumed run continues with, e.g. the best mIoU so far. */
  state: z.record(z.string(), z.unknown()),
  files: z.record(
    z.string().regex(FILE_NAME),
    z.strictObject({ bytes: z.number().int().min(0), sha256: z.string().regex(HASH) }),
  ),
});

export type Manifest = z.infer<typeof manifestSchema>;

export function isCheckpointFileName(name: string): boolean {
  return FILE_NAME.test(name);
}

/** The manifest as JSON with a hash of itself, which reveals later changes. */
export function formatManifest(manifest: Manifest): string {
  const body = JSON.stringify(manifest);
  return `${JSON.stringify({ ...manifest, sha256: sha256(body) }, null, 2)}\n`;
}

/** Throws CheckpointError. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST_NAME);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'not there: the checkpoint is incomplete' : (error as Error).message;
    throw new CheckpointError(`${path}: ${why}`);
  }
  return parseManifest(text, path);
}

function parseManifest(text: string, path: string): Manifest {
  let content: Record<string, unknown>;
  try {
    content = z.record(z.string(), z.unknown()).parse(JSON.parse(text));
  } catch {
    throw new CheckpointError(`${path}: no JSON object (cut off, or damaged)`);
  }
  const { sha256: wanted, ...body } = content;
  // Checked before the hash, which a newer version may compute differently.
  if (body.formatVersion !== FORMAT_VERSION) {
    throw new CheckpointError(
      `${path}: formatVersion ${JSON.stringify(body.formatVersion)}, wanted ${FORMAT_VERSION}`,
    );
  }
  const got = sha256(JSON.stringify(body));
  if (got !== wanted) {
    throw new CheckpointError(`${path}: damaged: sha256 is ${got}, wanted ${wanted}`);
  }
  const parsed = manifestSchema.safeParse(body);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new CheckpointError(`${path}: ${faults.join('; ')}`);
  }
  return parsed.data;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** step-00000123 */
export function stepFolderName(step: number): string {
  return `step-${String(step).padStart(8, '0')}`;
}

/** The step in a checkpoint folder's name, or null for any other name. */
export function stepOfFolder(path: string): number | null {
  const match = /^step-(\d{8,})$/.exec(basename(path));
  return match === null ? null : Number(match[1]);
}
