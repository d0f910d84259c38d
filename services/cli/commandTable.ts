/** The commands, each loaded only when it runs: `--help` and `doctor` must not open TensorFlow. */
import type { Command } from './command.js';

export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ readonly command: Command }>;
}

export const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  setup: {
    summary: 'Installs what is missing: TensorFlow, and the addon that is compiled against it.',
    load: () => import('./commands/setup.js'),
  },
  demo: {
    summary: 'Distils a student from a teacher service and reports the result.',
    load: () => import('./commands/demo.js'),
  },
  teacher: {
    summary: 'Serves a teacher network over gRPC.',
    load: () => import('./commands/teacher.js'),
  },
  student: {
    summary: 'Trains a student, with teachers or on labels alone.',
    load: () => import('./commands/student.js'),
  },
  'check-data': {
    summary: 'Reads a dataset once: pixels per class, sizes, and every fault of its files.',
    load: () => import('./commands/checkData.js'),
  },
  evaluate: {
    summary: 'Scores a network on a dataset: IoU per class, mIoU, confusion matrix, pictures.',
    load: () => import('./commands/evaluate.js'),
  },
  predict: {
    summary: 'Colours the pixels of images by the class that a network predicts.',
    load: () => import('./commands/predict.js'),
  },
  report: {
    summary: "Rebuilds a run's report, or compares several runs.",
    load: () => import('./commands/report.js'),
  },
  study: {
    summary: 'Compares variants of a student over several seeds: table, intervals, tests, report.',
    load: () => import('./commands/study.js'),
  },
  import: {
    summary: 'Makes a model file from a .pth file, a checkpoint or a safetensors state dict.',
    load: () => import('./commands/import.js'),
  },
  export: {
    summary: 'Writes the weights of a model file as a .pth file for PyTorch.',
    load: () => import('./commands/export.js'),
  },
  conformance: {
    summary: 'Runs golden test vectors through the training code.',
    load: () => import('./commands/conformance.js'),
  },
  bench: {
    summary: "Times a network on this machine: a teacher's forward pass, a student's step.",
    load: () => import('./commands/bench.js'),
  },
  doctor: {
    summary: 'Lists what is installed, what is missing and how to fix it.',
    load: () => import('./commands/doctor.js'),
  },
};
