/** A folder of golden cases: cases.json next to safetensors files. Format: golden/README.md, 1. */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { type NamedTensors, parseSafetensors } from '../wire/safetensors.js';
import { GoldenError } from './operation.js';

const sizes = z.array(z.int().min(0));

const recipeSchema = z.object({
  salt: z.string(),
  name: z.string(),
  shape: sizes,
  low: z.number(),
  high: z.number(),
});

const sourceSchema = z.union([z.string(), z.object({ recipe: recipeSchema })]);

const caseSchema = z.object({
  name: z.string(),
  op: z.string(),
  params: z.record(z.string(), z.unknown()).default({}),
  inputs: z.record(z.string(), sourceSchema).default({}),
  expected: z.record(z.string(), sourceSchema).default({}),
  tolerance: z.record(z.string(), z.object({ atol: z.number(), rtol: z.number() })).default({}),
  subsample: z
    .record(z.string(), z.object({ offset: z.int().min(0), stride: z.int().min(1), shape: sizes }))
    .nullish(),
  optional: z.array(z.string()).nullish(),
});

const setSchema = z.object({ format: z.literal(1), cases: z.array(caseSchema) });

export type CaseRecord = z.infer<typeof caseSchema>;
/** Where a tensor comes from: "file.safetensors#name", or a recipe. */
export type TensorSource = z.infer<typeof sourceSchema>;
export type Subsample = { offset: number; stride: number; shape: number[] };

/** The cases of a set and the files that they refer to; each file is read at most once. */
export class GoldenSet {
  readonly directory: string;
  readonly cases: readonly CaseRecord[];
  readonly #files = new Map<string, NamedTensors>();

  /** Throws GoldenError unless the folder has a cases.json in format 1. */
  constructor(directory: string) {
    this.directory = directory;
    this.cases = readCases(join(directory, 'cases.json'));
  }

  /** The tensors of a file in the same folder as cases.json. */
  file(name: string): NamedTensors {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    if (basename(name) !== name) throw new GoldenError(`${name}: a file of the set was wanted`);
    let tensors: NamedTensors;
    try {
      tensors = parseSafetensors(readFileSync(join(this.directory, name))).tensors;
    } catch (error) {
      throw new GoldenError(`${name}: ${(error as Error).message}`);
    }
    this.#files.set(name, tensors);
    return tensors;
  }
}

function readCases(path: string): CaseRecord[] {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new GoldenError(`${path}: ${(error as Error).message}`);
  }
  const parsed = setSchema.safeParse(json);
  if (!parsed.success) throw new GoldenError(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data.cases;
}
