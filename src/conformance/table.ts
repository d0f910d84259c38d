/** Every operation of a golden set that this program can run. */

import type { Operation } from './operation.js';
import { checkpointRead } from './operations/checkpointRead.js';
import { cirkdChannel } from './operations/cirkdChannel.js';
import { at, cwd, dsdCsd, dsdPsd, fitnet, ifvd, skdPairwise } from './operations/compared.js';
import { kd } from './operations/kd.js';
import { memoryContrast } from './operations/memoryContrast.js';
import { minibatchPixel } from './operations/minibatchPixel.js';
import { modelBackward } from './operations/modelBackward.js';
import { modelForward } from './operations/modelForward.js';
import { recipe } from './operations/recipe.js';
import { segmentationMetric } from './operations/segmentationMetric.js';
import { taskCe } from './operations/taskCe.js';
import { trainSteps } from './operations/trainSteps.js';
import type { OperationTable, RegisteredOperation } from './runner.js';

const whole = (run: Operation): RegisteredOperation => ({ run, tiled: false });
const tiled = (run: Operation): RegisteredOperation => ({ run, tiled: true });

export const OPERATIONS: OperationTable = new Map<string, RegisteredOperation>([
  ['recipe', whole(recipe)],
  ['kd', tiled(kd)],
  ['minibatch_pixel', tiled(minibatchPixel)],
  ['memory_contrast', tiled(memoryContrast)],
  ['cirkd_channel', tiled(cirkdChannel)],
  ['at', tiled(at)],
  ['fitnet', tiled(fitnet)],
  ['skd_pairwise', tiled(skdPairwise)],
  ['ifvd', tiled(ifvd)],
  ['cwd', tiled(cwd)],
  ['dsd_psd', tiled(dsdPsd)],
  ['dsd_csd', tiled(dsdCsd)],
  ['task_ce', tiled(taskCe)],
  ['model_forward', whole(modelForward)],
  ['model_backward', whole(modelBackward)],
  ['train_steps', tiled(trainSteps)],
  ['segmentation_metric', whole(segmentationMetric)],
  ['checkpoint_read', whole(checkpointRead)],
]);
