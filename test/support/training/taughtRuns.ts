/** Students of a tiny network, taught by one teacher process: trained to the end, or killed on the way and resumed. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NamedTensor, parseSafetensors } from '../../../src/wire/safetensors.js';
import { CirkdProcess } from '../commands/cirkdProcess.js';
import { TeacherProcess } from '../teachers/teacherProcess.js';
import { tinyStudent, tinyTeacher } from './tinyRun.js';
import { TrainedRun } from './trainedRun.js';

export class TaughtRuns {
  readonly folder: string;
  readonly #config: string;
  readonly #steps: number;
  readonly #settings: readonly string[];
  readonly #teacher: TeacherProcess;
  readonly #students: CirkdProcess[] = [];
  #address = '';

  /** @param settings of all runs, which take `steps` steps */
  static async open(steps: number, settings: readonly string[]): Promise<TaughtRuns> {
    const runs = new TaughtRuns(steps, settings);
    await runs.#teacher.ready();
    runs.#address = `127.0.0.1:${(await runs.#teacher.listening()).grpcPort}`;
    return runs;
  }

  private constructor(steps: number, settings: readonly string[]) {
    this.folder = mkdtempSync(join(tmpdir(), 'cirkd-taught-'));
    this.#steps = steps;
    this.#settings = settings;
    this.#config = tinyStudent(this.folder);
    const model = tinyTeacher(this.folder);
    this.#teacher = new TeacherProcess('--checkpoint', model, '--set', 'threads=1');
  }

  student(id: string, settings: readonly string[], ...more: string[]): CirkdProcess {
    const all = [
      ...[`run.id=${id}`, `teacher.addresses=["${this.#address}"]`, `train.steps=${this.#steps}`],
      ...this.#settings,
      ...settings,
    ];
    const process = new CirkdProcess(
      'student',
      ...['--config', this.#config, ...all.flatMap((one) => ['--set', one])],
      ...more,
    );
    this.#students.push(process);
    return process;
  }

  async train(id: string, settings: readonly string[]): Promise<void> {
    const student = this.student(id, settings);
    assert.equal(await student.exit(), 0, student.stderr);
  }

  /** Killed with -9 after step 9 and resumed: it must end with the terms and the state's bytes of another run. */
  async assertResumed(id: string, undisturbed: string, settings: readonly string[]): Promise<void> {
    const first = this.student(id, settings);
    await first.says(new RegExp(`step 9/${this.#steps} `));
    first.signal('SIGKILL');
    assert.equal(await first.exit(), null, first.stderr);
    assert.ok(!existsSync(this.#lastCheckpoint(id)), 'it had come to its end');
    const second = this.student(id, settings, '--resume');
    assert.equal(await second.exit(), 0, second.stderr);
    assert.deepEqual(this.terms(id), this.terms(undisturbed));
    assert.deepEqual(this.finalState(id), this.finalState(undisturbed));
  }

  run(id: string): TrainedRun {
    return new TrainedRun(this.folder, id);
  }

  /** Of each step. */
  terms(id: string): Readonly<Record<string, number>>[] {
    return this.run(id)
      .steps()
      .map((step) => step.terms);
  }

  /** Every byte of the last state's files, by name. */
  finalState(id: string): ReadonlyMap<string, string> {
    return this.run(id).files(this.#steps);
  }

  /** The tensors of one of the last state's files. */
  finalTensors(id: string, file: string): ReadonlyMap<string, NamedTensor> {
    const path = join(this.#lastCheckpoint(id), `${file}.safetensors`);
    return parseSafetensors(readFileSync(path)).tensors;
  }

  report(id: string): string {
    return readFileSync(join(this.folder, id, 'report.html'), 'utf8');
  }

  killStudents(): void {
    for (const process of this.#students.splice(0)) process.kill();
  }

  close(): void {
    this.#teacher.kill();
    rmSync(this.folder, { recursive: true });
  }

  #lastCheckpoint(id: string): string {
    return this.run(id).checkpointFile(this.#steps, '');
  }
}
