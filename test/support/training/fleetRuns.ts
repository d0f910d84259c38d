/**
 * Runs of a student on fleets of simulated teachers, all of them processes: one that nothing
 * disturbs, and others that have to leave exactly what it left.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CirkdProcess } from '../commands/cirkdProcess.js';
import type { Inside } from '../commands/spawnCirkd.js';
import { eventually } from '../eventually.js';
import { FleetTeacher } from '../teachers/fleetTeacher.js';
import { TrainedRun } from './trainedRun.js';

export const STEPS = 30;
const BATCH = 2;
const SAMPLES = 20;

/** Crops of 4 x 4 positions. Eight images are asked for at once. */
const CONFIG = `
seed: 5
run: {checkpointEverySteps: 0, logEverySteps: 1}
data:
  train: {kind: synthetic, samples: ${SAMPLES}, height: 32, width: 64, seed: 1}
  val: {kind: synthetic, samples: 1, height: 32, width: 64, seed: 2}
  workers: 1
  crop: {height: 32, width: 32}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {prefetchSteps: 3, teacherTimeoutMs: 120000}
train: {steps: ${STEPS}, batchSize: ${BATCH}, learningRate: 0.02, threads: 1}
memory: {pixelMemorySize: 64, regionMemorySize: 8, pixelContrastSize: 48, regionContrastSize: 24}
evaluate: {pictures: 0}
metrics: {port: 0}
`;

export class FleetRuns {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cirkd-fleet-'));
  readonly #config = join(this.#folder, 'student.yaml');
  readonly #students: CirkdProcess[] = [];
  readonly #settings: readonly string[];

  /** Resolves when the undisturbed run, on a simulated teacher, is done. */
  static async open(): Promise<FleetRuns> {
    const teacher = await FleetTeacher.start(['simulate.imageMs=0']);
    const runs = await FleetRuns.openWith(teacher);
    await teacher.kill();
    return runs;
  }

  /** The same on any teacher. @param settings of every student, as `key=value` */
  static async openWith(
    teacher: { readonly address: string },
    settings: readonly string[] = [],
  ): Promise<FleetRuns> {
    const runs = new FleetRuns(settings);
    writeFileSync(runs.#config, CONFIG);
    const student = runs.student('undisturbed', [teacher]);
    assert.equal(await student.exit(), 0, student.stderr);
    assert.deepEqual(student.requeued(), []);
    runs.#checkLedger('undisturbed');
    return runs;
  }

  private constructor(settings: readonly string[]) {
    this.#settings = settings;
  }

  /** Teachers by their addresses, or an address that leads to one. */
  student(
    id: string,
    teachers: readonly { readonly address: string }[],
    ...args: (string | Inside)[]
  ): FleetStudent {
    const addresses = JSON.stringify(teachers.map(({ address }) => address));
    const settings = [...this.#settings, `run.directory=${this.#folder}`, `run.id=${id}`];
    const flags = [...settings, `teacher.addresses=${addresses}`, ...args].flatMap((one) =>
      typeof one !== 'string' || one.startsWith('-') ? [one] : ['--set', one],
    );
    const student = new FleetStudent('student', '--config', this.#config, ...flags);
    this.#students.push(student);
    return student;
  }

  run(id: string): TrainedRun {
    return new TrainedRun(this.#folder, id);
  }

  /** Each batch once and in order, and every tensor of the last checkpoint, bit for bit. */
  assertUndisturbed(id: string): void {
    this.#checkLedger(id);
    const ledger = (run: TrainedRun) =>
      run.steps().map(({ step, samples, terms }) => ({ step, samples, terms }));
    assert.deepEqual(ledger(this.run(id)), ledger(this.run('undisturbed')));
    const state = this.run(id).state(STEPS);
    const wanted = this.run('undisturbed').state(STEPS);
    assert.ok(wanted.size > 300, `${wanted.size} tensors`);
    assert.deepEqual([...state.keys()], [...wanted.keys()]);
    const others = [...wanted].filter(([name, bytes]) => state.get(name) !== bytes);
    assert.deepEqual(
      others.map(([name]) => name),
      [],
    );
  }

  /** For afterEach. */
  killAll(): void {
    for (const student of this.#students.splice(0)) student.kill();
    FleetTeacher.killAll();
  }

  close(): void {
    this.killAll();
    rmSync(this.#folder, { recursive: true });
  }

  /** Steps one after the other; in every epoch each sample once. */
  #checkLedger(id: string): void {
    const steps = this.run(id).steps();
    assert.deepEqual(
      steps.map(({ step }) => step),
      Array.from({ length: STEPS }, (_, i) => i + 1),
    );
    const samples = steps.flatMap((step) => step.samples);
    assert.equal(samples.length, STEPS * BATCH);
    for (let begin = 0; begin < samples.length; begin += SAMPLES) {
      assert.equal(new Set(samples.slice(begin, begin + SAMPLES)).size, SAMPLES);
    }
  }
}

/** What a line of the student's log says. */
interface LogLine {
  readonly msg: string;
  readonly address?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly detail?: string;
}

export class FleetStudent extends CirkdProcess {
  /** Waits until so many steps are done; throws if it ends before. */
  async did(steps: number): Promise<void> {
    await this.says(new RegExp(`step ${steps}/${STEPS} `));
  }

  /** Reasons for which images of one teacher, or of any, were requested again, in order. */
  requeued(teacher?: { readonly address: string }): string[] {
    return this.#log()
      .filter(({ msg }) => msg === 'image requested again')
      .filter(({ detail }) => teacher === undefined || detail!.startsWith(`${teacher.address}: `))
      .map(({ reason }) => reason!);
  }

  /** Where a teacher stood, in order. */
  states({ address }: { readonly address: string }): string[] {
    return this.#log()
      .filter((line) => line.msg === 'teacher' && line.address === address)
      .map(({ state }) => state!);
  }

  /** Waits until something holds of what it said; throws if it ends before. */
  async until(holds: () => boolean): Promise<void> {
    await eventually(() => holds() || this.exitCode !== undefined).catch((error: Error) => {
      throw new Error(`${error.message}; it said\n${this.stderr}`);
    });
    assert.ok(holds(), `ended with ${this.exitCode}:\n${this.stderr}`);
  }

  #log(): LogLine[] {
    return this.stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine);
  }
}
