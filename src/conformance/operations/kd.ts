/** `kd`: distillation of logits. */
import { logitsKd } from '../../losses/logitsKd.js';
import type { Operation } from '../operation.js';
import { channelsFirst, channelsLast, hostScalar } from '../tensors.js';
import { scope } from '../../tensor/index.js';

export const kd: Operation = (golden) =>
  scope(() => {
    const student_NHWK = channelsLast(golden.float32('student'));
    const teacher_NHWK = channelsLast(golden.float32('teacher'));
    const { loss, gradient_NHWK } = logitsKd(
      student_NHWK,
      teacher_NHWK,
      golden.number('temperature'),
    );
    return new Map([
      ['loss', hostScalar(loss)],
      ['grad/student', channelsFirst(gradient_NHWK)],
    ]);
  });
