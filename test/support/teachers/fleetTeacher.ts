/** A simulated teacher's process that a test can kill, stop and start again at its address. */
import type { Inside } from '../commands/spawnCirkd.js';
import { TeacherProcess } from './teacherProcess.js';

/** Four rows of 4 KiB an embedding, so four pieces; see fleetRuns.ts for the crops. */
const SETTINGS = [
  ...['simulate.classes=12', 'simulate.featureChannels=256', 'limits.chunkBytes=4096'],
  // Three teachers are slower than a student of this size: images always wait at each of them.
  ...['simulate.latencyMs=0', 'simulate.imageMs=150'],
];

/** Where it lives and listens. */
export interface Place {
  readonly host?: string;
  /** The path of a Unix socket that it listens on as well, and that students are given. */
  readonly socket?: string;
  readonly inside?: Inside;
}

export class FleetTeacher {
  static readonly #started = new Set<TeacherProcess>();

  readonly port: number;
  readonly #place: Place;
  #process: TeacherProcess;

  /** With settings besides those of every teacher, as `key=value`. */
  static async start(settings: readonly string[] = [], place: Place = {}): Promise<FleetTeacher> {
    const process = FleetTeacher.#launch(settings, place, 0);
    await process.ready();
    return new FleetTeacher(process, (await process.listening()).grpcPort, place);
  }

  /** For afterEach. */
  static killAll(): void {
    for (const process of FleetTeacher.#started) process.kill();
    FleetTeacher.#started.clear();
  }

  static #launch(settings: readonly string[], place: Place, port: number): TeacherProcess {
    const host = place.host === undefined ? [] : [`listen.host=${place.host}`];
    const socket = place.socket === undefined ? [] : [`listen.socket=unix:${place.socket}`];
    const sets = [...SETTINGS, ...host, ...socket, ...settings].flatMap((one) => ['--set', one]);
    const inside = place.inside === undefined ? [] : [place.inside];
    const process = new TeacherProcess(...inside, '--simulate', '--port', String(port), ...sets);
    FleetTeacher.#started.add(process);
    return process;
  }

  private constructor(process: TeacherProcess, port: number, place: Place) {
    this.#process = process;
    this.port = port;
    this.#place = place;
  }

  get address(): string {
    const { socket, host = '127.0.0.1' } = this.#place;
    return socket === undefined ? `${host}:${this.port}` : `unix:${socket}`;
  }

  /** kill -9; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#process.signal('SIGKILL');
    await this.#process.exit();
  }

  /** SIGTERM; resolves to the exit code. */
  terminate(): Promise<number | null> {
    this.#process.signal('SIGTERM');
    return this.#process.exit();
  }

  /** SIGSTOP, and SIGCONT. */
  freeze(): void {
    this.#process.signal('SIGSTOP');
  }

  thaw(): void {
    this.#process.signal('SIGCONT');
  }

  /** Another process at the same address; resolves when it serves. */
  async restart(settings: readonly string[] = []): Promise<void> {
    this.#process = FleetTeacher.#launch(settings, this.#place, this.port);
    await this.#process.ready();
  }

  /** Images answered OK by the present process. */
  async answered(): Promise<number> {
    const { metricsUrl } = await this.#process.listening();
    const text = await (await fetch(metricsUrl)).text();
    return Number(/^cirkd_teacher_requests_total\{code="OK"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  }
}
