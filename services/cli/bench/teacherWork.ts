/** A teacher's computation for a batch: from bytes to encoded outputs, without the wire. */
import { weightValues } from '../../../src/conformance/recipe.js';
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

export class TeacherWork {
  readonly #teacher: TeacherNetwork;
  readonly #images: readonly InferenceImage[];

  /**
   * `seeWeights`, if given, gets a copy of the state dict. Throws ConfigError, as configOf does.
   */
  constructor(
    workload: Workload,
    seeWeights?: (weights: NamedTensors) => void,
    products: Products = 'float32',
  ) {
    const spec = studentSpec(configOf(workload), workload.classes);
    const network = SegmentationNetwork.create(spec, (name, shape) =>
      weightValues({ salt: SALT, gain: GAIN }, name, shape),
    );
    seeWeights?.(network.stateDict());
    const classNames = Array.from({ length: workload.classes }, (_, index) => `class ${index}`);
    const description = { spec, normalisation: OFFICIAL_NORMALISATION, classNames };
    this.#teacher = new TeacherNetwork(network, description, products);
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
