/** The memory that the values grant a teacher, against the sum in docs/deploy.md. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pods, render, VARIANTS } from '../support/deploy/chart.js';
import { teacherConfig } from '../support/deploy/renderedConfigs.js';

const MIB = 1_048_576;
/** DeepLabV3-ResNet-101, two images of 512×1024 (docs/performance.md); on a GPU the CUDA libraries. */
const NETWORK_MIB = { cpu: 1050, gpu: 2048 } as const;
/** Answers that wait for the disk (docs/cache.md). */
const WAITING_MIB = 256;

test("a teacher's memory limit holds what its config lets come together (docs/deploy.md)", async () => {
  const parameters = { height: 512, width: 1024, channels: 512, classes: 19 };
  const positions = (parameters.height / 8) * (parameters.width / 8);
  const answerMiB = (4 * positions * (parameters.channels + parameters.classes + 1)) / MIB;
  for (const name of ['default', 'fleet', 'secured', 'gpu', 'cached'] as const) {
    const objects = await render(...VARIANTS[name]);
    const { limits, batch, cache } = teacherConfig(objects);
    const pixelsMiB = (2 * batch.maxImages * 3 * parameters.height * parameters.width) / MIB;
    const streamMiB = answerMiB + 5 + limits.maxMessageMiB;
    const parts = [NETWORK_MIB[name === 'gpu' ? 'gpu' : 'cpu'], limits.maxQueueMiB, pixelsMiB];
    parts.push(limits.maxAnswerMiB, limits.maxStreams * streamMiB);
    if (cache.directory !== null) parts.push(WAITING_MIB);
    const neededMiB = 1.25 * parts.reduce((sum, part) => sum + part, 0);
    const { memory } = pods(objects).get('teacher')!.spec.containers[0]!.resources.limits as {
      memory: string;
    };
    const limitMiB = 1024 * Number(/^(\d+)Gi$/.exec(memory)?.[1]);
    assert.ok(limitMiB >= neededMiB, `${name}: ${memory} for ${neededMiB} MiB`);
  }
});
