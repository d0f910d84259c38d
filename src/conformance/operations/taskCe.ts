/** `task_ce`: cross entropy with the labels. */
import { IGNORED } from '../../distill/enqueue.js';
import { taskCe as taskCeLoss } from '../../losses/taskCe.js';
import { scope } from '../../tensor/index.js';
import type { Operation } from '../operation.js';
import { channelsFirst, channelsLast, hostScalar, labelMaps } from '../tensors.js';

export const taskCe: Operation = (golden) =>
  scope(() => {
    const { loss, gradient_NhwK } = taskCeLoss(
      channelsLast(golden.float32('logits')),
      labelMaps(golden.int32('labels'), golden.number('ignore_index')),
      { ignoreLabel: IGNORED, alignCorners: true, allIgnored: 'nan' },
    );
    return new Map([
      ['loss', hostScalar(loss)],
      ['grad/logits', channelsFirst(gradient_NhwK)],
    ]);
  });
