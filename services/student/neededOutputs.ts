/** Which of the teachers' outputs a run uses: nothing else is asked for. */
import type { StudentConfig } from '../../src/config/student.js';
import type { NeededOutput } from '../../src/contract/outputs.js';
import { TEACHER_TERMS, TERM_OUTPUTS, type TeacherTerm } from '../../src/contract/terms.js';
import { poolsMaps } from '../../src/losses/minibatchPixel.js';
import { hasAuxHead, outputStrideOf } from '../../src/models/zoo.js';
import { outputSize } from '../../src/wire/checkTensor.js';

/** In the order of a reply. */
const ORDER: readonly NeededOutput[] = ['logits', 'embedding', 'feature_norm', 'aux_norm'];

/** Those of the terms with a weight, and of labels from the teacher; none if the teacher isn't used. */
export function neededOutputs(config: StudentConfig): NeededOutput[] {
  const { loss, data } = config;
  const terms = TEACHER_TERMS.filter((term) => loss.weights[term] > 0);
  const needed = new Set(terms.flatMap((term) => outputsOfTerm(term, config)));
  if (data.train.labels === 'teacher') needed.add('logits');
  return ORDER.filter((output) => needed.has(output));
}

/** Whether the run asks teachers for anything. */
export function usesTeacher(config: StudentConfig): boolean {
  return config.teacher.addresses.length > 0 && neededOutputs(config).length > 0;
}

function outputsOfTerm(term: TeacherTerm, { loss, data, student }: StudentConfig): NeededOutput[] {
  const outputs = [...TERM_OUTPUTS[term]];
  if (term === 'dsd_psd' && !hasAuxHead(student)) {
    return outputs.filter((output) => output !== 'aux_norm');
  }
  const [h, w] = outputSize(data.crop.height, data.crop.width, outputStrideOf(student.model));
  const pools = term === 'minibatch_pixel' && poolsMaps(loss, h, w);
  return pools ? [...outputs, 'feature_norm'] : outputs;
}
