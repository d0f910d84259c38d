/**
 * What the student's network and the teacher gave for a batch.
 *
 * N images, h w positions of the outputs, K classes, C student and D teacher channels.
 */
import { rawFeature } from '../losses/teacherFeature.js';
import type { Tensor, Var } from '../tensor/index.js';

/** The network's outputs, on the step's tape. */
export interface StudentOutputs {
  /** [N, h, w, K] */
  readonly logits: Var;
  /** [N, h, w, K]; null for networks without an auxiliary head. */
  readonly aux: Var | null;
  /** [N, h, w, C], raw. */
  readonly feature: Var;
}

/** Decoded replies, float32. null: not asked for (TERM_OUTPUTS), or the teacher doesn't have it. */
export interface TeacherOutputs {
  /** [N, h, w, K] */
  readonly logits: Tensor | null;
  /** [N, h, w, D], unit rows. */
  readonly embedding: Tensor | null;
  /** [N, h, w]: the raw feature is embedding * featureNorm. */
  readonly featureNorm: Tensor | null;
  /** [N, h, w]: norms over the classes of the auxiliary logits. */
  readonly auxNorm: Tensor | null;
}

/** The raw feature, float32 [N, h, w, D]. Throws Error if a part of it isn't there. */
export function rawFeatureOf(outputs: TeacherOutputs): Tensor {
  return rawFeature({
    embedding_NHWD: given(outputs, 'embedding'),
    norm_NHW: given(outputs, 'featureNorm'),
  });
}

/** An output that a term is computed from. Throws Error if it isn't there. */
export function given(outputs: TeacherOutputs, name: keyof TeacherOutputs): Tensor {
  const tensor = outputs[name];
  if (tensor === null) throw new Error(`${name}: null, and terms that need it have a weight`);
  return tensor;
}
