/**
 * A student whose step is a sleep: real streams to real teachers, real metrics, no network to train.
 * For tests of how a fleet is sized.
 */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TeacherReply } from '../../../src/contract/teacher.js';
import { connectTeachers, type RemoteTeacher } from '../../../src/stream/client/remoteTeacher.js';
import { type MetricsServer, startMetricsServer } from '../../../src/telemetry/metricsServer.js';
import {
  createStudentMetrics,
  type StudentMetrics,
} from '../../../src/telemetry/studentMetrics.js';

export interface SimulatedStudentOptions {
  /** As teacher.addresses. */
  readonly addresses: readonly string[];
  readonly classes: number;
  readonly stepMs: number;
  readonly batchImages: number;
  /** Steps whose images are asked for ahead of the one that is made. */
  readonly prefetchSteps: number;
}

const SIZE = 16;

export class SimulatedStudent {
  /** Of the current phase, since the last call of takeSeconds(). */
  #seconds = { teacher: 0, compute: 0 };
  readonly #options: SimulatedStudentOptions;
  readonly #teacher: RemoteTeacher;
  readonly #metrics: StudentMetrics;
  readonly #server: MetricsServer;
  readonly #stop = new AbortController();
  readonly #steps: Promise<void>;

  private constructor(
    options: SimulatedStudentOptions,
    teacher: RemoteTeacher,
    metrics: StudentMetrics,
    server: MetricsServer,
  ) {
    this.#options = options;
    this.#teacher = teacher;
    this.#metrics = metrics;
    this.#server = server;
    // One for each image that is under way.
    setMaxListeners(0, this.#stop.signal);
    this.#steps = this.#run();
  }

  static async start(options: SimulatedStudentOptions): Promise<SimulatedStudent> {
    const metrics = createStudentMetrics();
    const registry = metrics.registry;
    const server = await startMetricsServer({ registry, host: '127.0.0.1', port: 0 });
    metrics.recordRun({ id: 'simulated', steps: 1_000_000, stepsDone: 0 });
    const teacher = await connectTeachers({
      addresses: options.addresses,
      runId: 'simulated',
      encoding: 'fp16',
      expected: { classes: options.classes, outputStride: 8 },
      requestTimeoutMs: 60_000,
      teacherTimeoutMs: 120_000,
      maxInflightBytes: 2 ** 24,
      lookupIntervalMs: 500,
      jitter: () => 0.5,
      onTeacher: ({ address, state }) => metrics.recordTeacher(address, state),
      onRequeued: (reason) => metrics.requeued.inc({ reason }),
    });
    return new SimulatedStudent(options, teacher, metrics, server);
  }

  get metricsUrl(): string {
    return this.#server.url;
  }

  /** Part of the steps' time spent waiting for teachers since the call before, 0..1. */
  takeWaitingShare(): number {
    const { teacher, compute } = this.#seconds;
    this.#seconds = { teacher: 0, compute: 0 };
    return teacher / (teacher + compute);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#steps;
    await this.#teacher.close();
    await this.#server.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const ahead: Promise<TeacherReply[]>[] = [];
    try {
      for (let step = 0; !signal.aborted; step++) {
        while (ahead.length <= this.#options.prefetchSteps) ahead.push(this.#ask(step));
        await this.#step(ahead.shift()!);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await Promise.allSettled(ahead);
  }

  async #step(replies: Promise<TeacherReply[]>): Promise<void> {
    const { batchImages: images, stepMs } = this.#options;
    const asked = performance.now();
    await replies;
    const begun = performance.now();
    await sleep(stepMs, undefined, { signal: this.#stop.signal });
    const ended = performance.now();
    const [teacher, compute] = [(begun - asked) / 1000, (ended - begun) / 1000];
    this.#seconds.teacher += teacher;
    this.#seconds.compute += compute;
    this.#metrics.recordStep({
      images,
      seconds: teacher + compute,
      phaseSeconds: { data: 0, teacher, compute },
      losses: { total: 1 },
      learningRate: 0.01,
    });
  }

  #ask(step: number): Promise<TeacherReply[]> {
    const batch = Array.from({ length: this.#options.batchImages }, (_, k) => ({
      sample: `${step} ${k}`,
      augmentationSeed: BigInt(step),
      height: SIZE,
      width: SIZE,
      rgb: new Uint8Array(SIZE * SIZE * 3),
    }));
    const asked = Promise.all(
      batch.map((image) => this.#teacher.request(image, this.#stop.signal)),
    );
    // Whoever waits for it hears of it; nobody does once the student stops.
    asked.catch(() => undefined);
    return asked;
  }
}
