/** `minibatch_pixel`: similarities of pixels across the batch. */
import { minibatchPixel as minibatchPixelLoss } from '../../losses/minibatchPixel.js';
import { scope } from '../../tensor/index.js';
import type { Operation } from '../operation.js';
import { channelsFirst, channelsLast, hostScalar, teacherFeature, tilingOf } from '../tensors.js';

export const minibatchPixel: Operation = (golden, options) =>
  scope(() => {
    const { loss, gradient_NHWC } = minibatchPixelLoss(
      channelsLast(golden.float32('student')),
      teacherFeature(golden.float32('teacher')),
      {
        temperature: golden.number('temperature'),
        minibatchGroup: 0,
        // The official v1 code never pools, and its cases say so; the others follow v2.
        minibatchPooling: golden.params['pooled'] === false ? 'never' : 'auto',
        tiling: tilingOf(options),
      },
    );
    return new Map([
      ['loss', hostScalar(loss)],
      ['grad/student', channelsFirst(gradient_NHWC)],
    ]);
  });
