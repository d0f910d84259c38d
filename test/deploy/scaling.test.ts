/**
 * The scaling signal at work: real Prometheus, simulated teachers as processes that come and go
 * behind a DNS name, a student whose step is a sleep, and in place of KEDA a controller with its
 * formula. All times are scaled down: docs/scaling.md has those of a cluster.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DnsServer } from '../support/connections/dnsServer.js';
import { HorizontalScaler } from '../support/deploy/horizontalScaler.js';
import { rulesText, scaler } from '../support/deploy/monitoringFiles.js';
import { SimulatedStudent } from '../support/students/simulatedStudent.js';
import { TeacherProcess } from '../support/teachers/teacherProcess.js';
import { PrometheusServer } from '../support/tools/prometheusServer.js';

const NAME = 'teachers.test';
const CLASSES = 3;
const MAX_TEACHERS = 6;
/**
 * 4 images a step of 800 ms at 520 ms each are 2.6 teachers: 4 at a target of 0.8. Times that a busy
 * machine doesn't stretch by much.
 */
const [STEP_MS, BATCH_IMAGES, IMAGE_MS] = [800, 4, 520];
const POLL_MS = 2000;
/** Longer than the rules' window and the stabilisation together. */
const SETTLED_MS = 22_000;
const GIVE_UP_MS = 240_000;

/** One address a teacher, the same ports for all, as pods have. */
const hostOf = (k: number) => `127.0.7.${k + 1}`;

class SimulatedFleet {
  readonly #teachers: TeacherProcess[] = [];
  readonly #dns: DnsServer;
  #ports = { grpc: '0', metrics: '0' };

  constructor(dns: DnsServer) {
    this.#dns = dns;
  }

  get size(): number {
    return this.#teachers.length;
  }

  get ports(): { readonly grpc: string; readonly metrics: string } {
    return this.#ports;
  }

  async scaleTo(size: number): Promise<void> {
    const leaving = this.#teachers.splice(size);
    const arriving: TeacherProcess[] = [];
    while (this.size < size) {
      const teacher = this.#launch(this.size);
      this.#teachers.push(teacher);
      arriving.push(teacher);
    }
    for (const teacher of arriving) await teacher.ready();
    if (this.#ports.grpc === '0') {
      const { grpcPort, metricsUrl } = await this.#teachers[0]!.listening();
      this.#ports = { grpc: String(grpcPort), metrics: new URL(metricsUrl).port };
    }
    this.#dns.set(
      NAME,
      this.#teachers.map((_, k) => hostOf(k)),
    );
    for (const teacher of leaving) teacher.signal('SIGTERM');
    for (const teacher of leaving) await teacher.exit();
  }

  kill(): void {
    for (const teacher of this.#teachers) teacher.kill();
  }

  #launch(k: number): TeacherProcess {
    const settings = [
      ...[`listen.host=${hostOf(k)}`, `metrics.host=${hostOf(k)}`],
      ...['simulate.enabled=true', `simulate.classes=${CLASSES}`, 'simulate.featureChannels=8'],
      `simulate.latencyMs=${IMAGE_MS}`,
    ];
    const { grpc, metrics } = this.#ports;
    return new TeacherProcess(
      ...['--port', grpc, '--metrics-port', metrics],
      ...settings.flatMap((one) => ['--set', one]),
    );
  }
}

let dns: DnsServer;
let fleet: SimulatedFleet;
let student: SimulatedStudent;
let prometheus: PrometheusServer;

before(async () => {
  dns = await DnsServer.start({ [NAME]: [] });
  fleet = new SimulatedFleet(dns);
  await fleet.scaleTo(1);
  student = await SimulatedStudent.start({
    addresses: [`dns://${dns.address}/${NAME}:${fleet.ports.grpc}`],
    ...{ classes: CLASSES, stepMs: STEP_MS, batchImages: BATCH_IMAGES, prefetchSteps: 2 },
  });
  const targets = Array.from(
    { length: MAX_TEACHERS },
    (_, k) => `${hostOf(k)}:${fleet.ports.metrics}`,
  );
  prometheus = await PrometheusServer.start(
    [
      { name: 'cirkd-student', targets: [new URL(student.metricsUrl).host] },
      { name: 'cirkd-teacher', targets },
    ],
    rulesText({ window: '10s' }),
  );
});
after(async () => {
  await student?.close();
  fleet?.kill();
  await prometheus?.close();
  dns?.close();
});

interface Settled {
  /** Of the fleet, one a decision. */
  readonly sizes: readonly number[];
  /** Part of the student's time since the last change, without the first seconds after it. */
  readonly waitingShare: number;
}

/** Runs the controller until the fleet has kept its size for a while. */
async function settle(): Promise<Settled> {
  const { query, threshold } = scaler('test');
  const controller = new HorizontalScaler({
    ...{ target: Number(threshold), minReplicas: 1, maxReplicas: MAX_TEACHERS },
    stabilisationMs: 10_000,
  });
  const sizes = [fleet.size];
  const begun = performance.now();
  let changed = begun;
  let cleared = false;
  while (performance.now() - changed < SETTLED_MS) {
    assert.ok(performance.now() - begun < GIVE_UP_MS, `never at rest: ${sizes.join(' ')}`);
    await sleep(POLL_MS);
    const [wanted] = await prometheus.query(query);
    const size = controller.decide(wanted?.value, fleet.size, performance.now());
    if (size !== fleet.size) {
      await fleet.scaleTo(size);
      changed = performance.now();
      cleared = false;
    } else if (!cleared && performance.now() - changed > SETTLED_MS / 2) {
      student.takeWaitingShare();
      cleared = true;
    }
    sizes.push(size);
  }
  return { sizes, waitingShare: student.takeWaitingShare() };
}

/** How often the fleet turned round. */
function turns(sizes: readonly number[]): number {
  const steps = sizes.slice(1).map((size, i) => Math.sign(size - sizes[i]!));
  const moves = steps.filter((step) => step !== 0);
  return moves.filter((step, i) => i > 0 && step !== moves[i - 1]).length;
}

function assertSettled({ sizes, waitingShare }: Settled, begin: number): void {
  const history = `${sizes.join(' ')}; the student waits ${(100 * waitingShare).toFixed(1)} %`;
  process.stderr.write(`# from ${begin}: ${history}\n`);
  assert.equal(sizes[0], begin);
  assert.equal(turns(sizes), 0, history);
  // The work of 2.6 teachers: with less than three the student waits, with more than five some idle.
  assert.ok(sizes.at(-1)! >= 3 && sizes.at(-1)! <= 5, history);
  assert.ok(waitingShare < 0.1, history);
}

test('from one teacher up, to where the student hardly waits', async () => {
  assertSettled(await settle(), 1);
});

test('from six down, to the same place', async () => {
  await fleet.scaleTo(MAX_TEACHERS);
  assertSettled(await settle(), MAX_TEACHERS);
});

test('turns are counted', () => {
  assert.equal(turns([1, 1, 4, 4, 5]), 0);
  assert.equal(turns([1, 4, 4, 3, 5]), 2);
});
