/** A teacher's computation for a batch: from bytes to encoded outputs, without the wire. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { weightValues } from '../../../src/conformance/recipe.js';
import { writeModelFile } from '../../../src/models/files/modelFile.js';
import { SegmentationNetwork } from '../../../src/models/network.js';
import { OFFICIAL_NORMALISATION } from '../../../src/models/normalise.js';
import type { EncodedOutput } from '../../../src/contract/outputs.js';
import type { InferenceImage } from '../../../src/contract/inference.js';
import { TeacherNetwork } from '../../../src/models/teacher/teacherNetwork.js';
import type { NamedTensors } from '../../../src/wire/safetensors.js';
import { studentSpec } from '../../student/trainer.js';
import { rgbImages, SALT } from './inputs.js';
import type { Products } from '../../../src/contract/products.js';
import { configOf, type Workload } from './workload.js';

/** In fp32, so that only the network and the work that every teacher has to do is measured. */
export const TEACHER_OUTPUTS = [
  { output: 'logits', encoding: 'fp32' },
  { output: 'embedding', encoding: 'fp32' },
  { output: 'feature_norm', encoding: 'fp32' },
] as const;
/** Keeps values moderate without batch statistics. */
const GAIN = 1;

/** Writes a model file and returns its weights. Throws ConfigError, as configOf does. */
export function writeTeacherFile(workload: Workload, path: string): NamedTensors {
  const spec = studentSpec(configOf(workload), workload.classes);
  const network = SegmentationNetwork.create(spec, (name, shape) =>
    weightValues({ salt: SALT, gain: GAIN }, name, shape),
  );
  const weights = network.stateDict();
  network.dispose();
  const classNames = Array.from({ length: workload.classes }, (_, index) => `class ${index}`);
  const description = { spec, normalisation: OFFICIAL_NORMALISATION, classNames };
  writeFileSync(path, writeModelFile(description, weights));
  return weights;
}

export interface TeacherWorkOptions {
  readonly file?: string;
  readonly products?: Products;
}

export class TeacherWork {
  readonly #teacher: TeacherNetwork;
  readonly #images: readonly InferenceImage[];

  /**
   * `file`: what writeTeacherFile wrote; by default it is written here. Throws ConfigError, as configOf does;
   * CheckpointError for a network without such products.
   */
  constructor(workload: Workload, { file, products = 'float32' }: TeacherWorkOptions = {}) {
    this.#teacher =
      file === undefined ? madeTeacher(workload, products) : TeacherNetwork.open(file, products);
    this.#images = rgbImages(workload);
  }

  /** Computes one batch: a list of outputs per image. */
  forward(): EncodedOutput[][] {
    return this.#teacher.infer(this.#images, TEACHER_OUTPUTS).map((outputs) => {
      if (outputs instanceof Error) throw outputs;
      return outputs;
    });
  }

  dispose(): void {
    this.#teacher.dispose();
  }
}

function madeTeacher(workload: Workload, products: Products): TeacherNetwork {
  const folder = mkdtempSync(join(tmpdir(), 'cirkd-bench-'));
  try {
    const path = join(folder, 'teacher.safetensors');
    writeTeacherFile(workload, path);
    return TeacherNetwork.open(path, products);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
