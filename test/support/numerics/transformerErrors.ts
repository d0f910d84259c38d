/**
 * Prints the distances of transformers' and of training's kernels as JSON. A program of its own: the level of vector instructions
 * (CIRKD_VECTOR_LEVEL) is chosen once a process.
 */
import { trainingDistances } from './trainingKernels.js';
import { distancesFromTensorflow } from './transformerKernels.js';

process.stdout.write(JSON.stringify([...distancesFromTensorflow(), ...trainingDistances()]));
