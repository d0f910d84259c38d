/** Runs of a student as a group of processes, on simulated teachers. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freeAddresses } from '../../../services/student/group/freeAddresses.js';
import { CirkdProcess } from '../commands/cirkdProcess.js';
import type { Inside } from '../commands/spawnCirkd.js';
import type { RankPlace } from '../connections/rankNamespaces.js';
import { FleetTeacher, type Place } from '../teachers/fleetTeacher.js';
import { TrainedRun } from './trainedRun.js';

/** Of the synthetic scenes. */
export const CLASSES = 12;
/** Of the teachers. */
export const FEATURE_CHANNELS = 64;

/**
 * A step of a random network of this kind amplifies a last bit a thousand times: in one process, too, when its sums
 * are in another order. So the rate is tiny where runs of different groups are compared, and the velocities show the
 * gradients. (At 1e-6 terms of such runs are 1 % apart after 4 steps and 30 % after 12; at 1e-8 up to 1 % within 30.)
 */
const CONFIG = `
seed: 5
run: {checkpointEverySteps: 0, logEverySteps: 1}
data:
  train: {kind: synthetic, samples: 20, height: 32, width: 64, seed: 1}
  val: {kind: synthetic, samples: 1, height: 32, width: 64, seed: 2}
  workers: 1
  crop: {height: 32, width: 32}
student: {model: psp_mobile, backbone: mobilenetv2, widthMultiplier: 0.125}
teacher: {prefetchSteps: 3}
train: {steps: 6, batchSize: 4, learningRate: 1.0e-9, threads: 1}
memory: {pixelMemorySize: 64, regionMemorySize: 8, pixelContrastSize: 48, regionContrastSize: 24}
distributed: {timeoutMs: 6000, startTimeoutMs: 120000}
evaluate: {pictures: 0}
metrics: {port: 0}
`;

export class GroupRuns {
  readonly #folder = mkdtempSync(join(tmpdir(), 'cirkd-group-'));
  readonly #config = join(this.#folder, 'student.yaml');
  readonly #processes: CirkdProcess[] = [];
  readonly #teachers: readonly FleetTeacher[];

  /** @param place of the teachers */
  static async open(teachers: number, place: Place = {}): Promise<GroupRuns> {
    const started = Array.from({ length: teachers }, () =>
      FleetTeacher.start(
        ['simulate.imageMs=0', `simulate.featureChannels=${FEATURE_CHANNELS}`],
        place,
      ),
    );
    return new GroupRuns(await Promise.all(started));
  }

  private constructor(teachers: readonly FleetTeacher[]) {
    this.#teachers = teachers;
    writeFileSync(this.#config, CONFIG);
  }

  /** The setting of a student that has another teacher, too. */
  teachersAnd(other: FleetTeacher): string {
    return addressesOf([...this.#teachers, other]);
  }

  /** A single process, or with `--workers N` among the arguments a group on this machine. */
  student(id: string, ...given: readonly (string | Inside)[]): CirkdProcess {
    const args = given.filter((one) => typeof one === 'string');
    const settings = [
      ...[`run.directory=${this.#folder}`, `run.id=${id}`],
      addressesOf(this.#teachers),
    ];
    const flags = [...settings, ...args.filter((one) => one.includes('='))];
    const process = new CirkdProcess(
      ...['student', '--config', this.#config],
      ...flags.flatMap((one) => ['--set', one]),
      ...args.filter((one) => !one.includes('=')),
      ...given.filter((one) => typeof one !== 'string'),
    );
    this.#processes.push(process);
    return process;
  }

  /** The ranks as processes of their own. @param own further arguments of one rank */
  async ranks(
    id: string,
    size: number,
    args: readonly string[],
    own: (rank: number, workers: readonly string[]) => readonly string[] = () => [],
  ): Promise<CirkdProcess[]> {
    const addresses = await freeAddresses(size);
    const workers = `distributed.workers=${JSON.stringify(addresses)}`;
    return addresses.map((_, rank) =>
      this.student(id, workers, `distributed.index=${rank}`, ...args, ...own(rank, addresses)),
    );
  }

  /** The ranks as processes of their own, each at its place in the network. */
  ranksAt(id: string, places: readonly RankPlace[], ...args: readonly string[]): CirkdProcess[] {
    const workers = `distributed.workers=${JSON.stringify(places.map(({ address }) => address))}`;
    return places.map(({ inside }, rank) =>
      this.student(id, workers, `distributed.index=${rank}`, ...args, inside),
    );
  }

  /** Runs it to its end, which has to be a good one. */
  async train(id: string, ...args: readonly string[]): Promise<TrainedRun> {
    const student = this.student(id, ...args);
    assert.equal(await student.exit(), 0, student.stderr);
    return this.run(id);
  }

  /** The folder of a run that has ended, for another run to go on from. */
  copy(id: string, to: string): void {
    cpSync(join(this.#folder, id), join(this.#folder, to), { recursive: true });
  }

  run(id: string): TrainedRun {
    return new TrainedRun(this.#folder, id);
  }

  killAll(): void {
    for (const process of this.#processes.splice(0)) process.kill();
  }

  close(): void {
    this.killAll();
    FleetTeacher.killAll();
    rmSync(this.#folder, { recursive: true });
  }
}

function addressesOf(teachers: readonly FleetTeacher[]): string {
  return `teacher.addresses=${JSON.stringify(teachers.map(({ address }) => address))}`;
}
