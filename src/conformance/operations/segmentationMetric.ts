/** op `segmentation_metric`: the scores that evaluation prints, over several updates. */
import { SegmentationMetric } from '../../evaluate/segmentationMetric.js';
import { float32, scope } from '../../tensor/index.js';
import { toChannelsLast } from '../layout.js';
import type { GoldenCase, HostTensor, OperationResult } from '../operation.js';

export function segmentationMetric(golden: GoldenCase): OperationResult {
  const metric = new SegmentationMetric(golden.number('num_classes'));
  for (let i = 0; golden.has(`logits/${i}`); i++) {
    const logits = toChannelsLast(golden.float32(`logits/${i}`));
    const labels = golden.int32(`labels/${i}`);
    scope(() => metric.add(float32(logits.data, logits.shape), labels.data));
  }
  const scores = metric.scores();
  return new Map([
    ['pix_acc', single(scores.pixelAccuracy)],
    ['pix_acc_reference', single(scores.pixelAccuracyReference)],
    ['miou', single(scores.miou)],
    ['iou', list(scores.iou)],
    ['total_inter', list(scores.intersection)],
    ['total_union', list(scores.union)],
    ['total_correct', single(scores.correct)],
    ['total_correct_reference', single(scores.correctReference)],
    ['total_label', single(scores.labelled)],
  ]);
}

function single(value: number): HostTensor {
  return { data: Float64Array.of(value), shape: [] };
}

function list(data: Float64Array): HostTensor {
  return { data, shape: [data.length] };
}
