/** A case's work on this project's side. Weights are written for the peer before anything is computed. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { StudentWork } from '../../services/cli/bench/studentWork.js';
import { TeacherWork } from '../../services/cli/bench/teacherWork.js';
import { timeOf } from '../../services/cli/bench/measureWork.js';
import type { EncodedOutput } from '../../src/contract/outputs.js';
import type { BankChoices } from '../../src/memory/choices.js';
import { type Parameter, readFloat32, type Tensor } from '../../src/tensor/index.js';
import { euclideanNorm, sampled } from './agreement.js';
import { networkWork } from './networkWork.js';
import type { Check, SideTask, StepWork } from './protocol.js';
import { HEAD, NETWORK, writeWeights } from './weightFiles.js';

export function openWork(task: SideTask): StepWork {
  const { kind, workload } = task.case;
  switch (kind) {
    case 'teacher':
      return teacherStep(new TeacherWork(workload, { file: teacherFile(task) }));
    case 'network': {
      const student = new StudentWork(workload);
      writeWeights(task, NETWORK, student.trainer.parts.network.stateDict());
      return networkWork(student, workload);
    }
    case 'whole': {
      const student = new StudentWork(workload);
      const { network, projectionHead } = student.trainer.parts;
      writeWeights(task, NETWORK, network.stateDict());
      writeWeights(task, HEAD, projectionHead!.stateDict());
      return wholeStep(student);
    }
  }
}

/** Throws Error with what the process said. */
function teacherFile(task: SideTask): string {
  const path = join(task.folder, 'teacher.safetensors');
  const program = fileURLToPath(new URL('teacherFile.ts', import.meta.url));
  const args = ['--import', 'tsx', program, JSON.stringify(task), path];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`teacherFile.ts: exit code ${status}\n${stderr}`);
  return path;
}

/** Samples of every output, all images one after the other. */
export function checkOf(images: readonly (readonly EncodedOutput[])[]): Check {
  const check: Record<string, number[]> = {};
  for (const { output, tensor } of images.flat()) {
    check[output] = [...(check[output] ?? []), ...sampled(new Float32Array(tensor.data))];
  }
  return check;
}

const teacherStep = (work: TeacherWork): StepWork => ({
  check: () => checkOf(work.forward()),
  step: () => ({ forward: timeOf(() => work.forward()) }),
});

/** The first rows of each choice. */
const FIRST_ROWS: BankChoices = {
  enqueue: (_image, _classNumber, _n, take) => firstOf(take),
  samplePixels: (_classNumber, _n, take) => firstOf(take),
  sampleRegions: (_classNumber, _n, take) => firstOf(take),
};

const firstOf = (take: number) => Int32Array.from({ length: take }, (_, i) => i);

const wholeStep = (work: StudentWork): StepWork => ({
  check() {
    const norms: number[] = [];
    const { network, projectionHead } = work.trainer.parts;
    const parameters = [...network.parameters(), ...projectionHead!.parameters()];
    const observe = (gradients: ReadonlyMap<Parameter, Tensor>) => {
      norms.push(...parameters.map((each) => euclideanNorm(readFloat32(gradients.get(each)!))));
    };
    const terms = work.chosenStep(() => FIRST_ROWS, observe);
    const losses = Object.entries(terms).map(([term, value]) => [`loss ${term}`, [value]]);
    return { ...Object.fromEntries(losses), 'gradient norms': norms };
  },
  step: () => ({ step: timeOf(() => work.step()) }),
});
