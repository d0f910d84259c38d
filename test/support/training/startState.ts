/** The state that a run on simulated teachers begins with, which no checkpoint has: it is drawn from the seed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildTrainer } from '../../../services/student/trainer.js';
import { saveState } from '../../../services/student/trainerState.js';
import { loadConfig } from '../../../src/config/load.js';
import { studentSchema } from '../../../src/config/student.js';
import type { TrainedRun } from './trainedRun.js';

interface Sizes {
  readonly classes: number;
  readonly teacherChannels: number;
}

/** By the names of TrainedRun.state(). */
export function startState(
  { path }: TrainedRun,
  { classes, teacherChannels }: Sizes,
): Map<string, string> {
  const fileName = join(path, 'config.yaml');
  const text = readFileSync(fileName, 'utf8');
  const config = loadConfig(studentSchema, { text, fileName, overrides: [] });
  const trainer = buildTrainer({ config, classes, teacherChannels });
  const classNames = Array.from({ length: classes }, (_, k) => `${k}`);
  const state = new Map<string, string>();
  for (const [file, { tensors }] of Object.entries(saveState(trainer, { config, classNames }))) {
    for (const [name, { data }] of tensors) {
      state.set(`${file}.safetensors: ${name}`, Buffer.from(data).toString('base64'));
    }
  }
  return state;
}
