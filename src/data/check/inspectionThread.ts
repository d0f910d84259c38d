/** Entry of a thread that inspects samples. */
import { workerData } from 'node:worker_threads';
import { serveCalls } from '../../threads/serveCalls.js';
import { type DatasetConfig, openDataset } from '../datasets.js';
import { inspectSample } from './inspection.js';
import { inspectionService } from './inspectDataset.js';

const dataset = openDataset(workerData as DatasetConfig);
serveCalls(inspectionService('an inspecting thread'), {
  inspect: (index) => inspectSample(dataset, index),
});
