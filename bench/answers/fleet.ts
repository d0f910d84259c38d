/**
 * What homes of images cost a fleet: images per second with teachers that keep answers beside the same ones
 * that don't, for one student with different crops; and how often two students with the same crops make
 * the fleet compute one twice. Teachers sleep instead of computing, so that this machine isn't measured.
 *
 *     node --import tsx bench/answers/fleet.ts [--steps 60] [--pass-ms 40] [--prefetch-steps 2]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SimulatedNetwork } from '../../services/teacher/simulateEngine.js';
import { AnswerCache } from '../../src/answers/answerCache.js';
import { silentAnswerHooks } from '../../src/answers/answerHooks.js';
import type { InferenceImage } from '../../src/contract/inference.js';
import type { OutputRequest } from '../../src/contract/outputs.js';
import { connectTeachers } from '../../src/stream/client/remoteTeacher.js';
import { type InferenceEngine, silentHooks } from '../../src/stream/server/serving.js';
import { TeacherServer } from '../../src/stream/server/teacherServer.js';
import { Feed } from '../../src/train/feed.js';
import { testLimits } from '../../test/support/teachers/teacherServer.js';
import { readOptions, wholeNumber } from '../support/options.js';
import { runMain } from '../support/program.js';
import { differentBatches, STEP_IMAGES } from './differentBatches.js';

const OPTIONS = {
  steps: wholeNumber(60),
  'pass-ms': wholeNumber(40),
  'prefetch-steps': wholeNumber(2),
};
const SIZES = { classes: 12, featureChannels: 16, outputStride: 8 };

interface Case {
  readonly teachers: number;
  readonly isKept: boolean;
  readonly students: number;
  readonly steps: number;
  readonly passMs: number;
  readonly prefetch: number;
}

async function measure({ teachers, isKept, students, steps, passMs, prefetch }: Case) {
  const engines = Array.from({ length: teachers }, () => new SleepingEngine(passMs));
  const servers = await Promise.all(engines.map((engine) => serve(engine, isKept)));
  const addresses = servers.map(({ address }) => address);
  const ends = await Promise.all(
    Array.from({ length: students }, (_, n) => train(`student-${n}`, addresses, steps, prefetch)),
  );
  await Promise.all(servers.map(({ server }) => server.drain(0)));
  const seconds = Math.max(...ends);
  return {
    rate: (students * steps * STEP_IMAGES) / seconds,
    computed: engines.reduce((sum, { computed }) => sum + computed, 0),
  };
}

/** The student's step takes no time: the teachers are the limit. Returns its seconds. */
async function train(
  runId: string,
  addresses: readonly string[],
  steps: number,
  prefetch: number,
): Promise<number> {
  const teacher = await connectTeachers({
    ...{ addresses, runId, encoding: 'fp32', expected: { outputStride: 8 } },
    ...{ requestTimeoutMs: 60_000, teacherTimeoutMs: 60_000, maxInflightBytes: 2 ** 30 },
    jitter: Math.random,
  });
  const begin = performance.now();
  const feed = new Feed(differentBatches(steps, 32, 32), teacher, prefetch, steps);
  for (let step = 0; step < steps; step++) await feed.next();
  const seconds = (performance.now() - begin) / 1000;
  await teacher.close();
  return seconds;
}

async function serve(engine: SleepingEngine, isKept: boolean) {
  const hooks = silentAnswerHooks;
  const server = new TeacherServer({
    ...{ host: '127.0.0.1', port: 0, limits: testLimits, encodings: ['fp32'] },
    ...{ batch: { maxImages: 1, maxDelayMs: 0 }, hooks: silentHooks },
    answerCache: isKept ? new AnswerCache({ memoryBytes: 2 ** 30, store: null, hooks }) : null,
  });
  const { port } = await server.listen();
  server.serve(engine);
  return { server, address: `127.0.0.1:${port}` };
}

class SleepingEngine implements InferenceEngine {
  computed = 0;
  readonly classifier = null;
  readonly #network = new SimulatedNetwork({ ...SIZES, seed: 0, latencyMs: 0, imageMs: 0 });
  readonly info = this.#network.info;
  readonly #passMs: number;

  constructor(passMs: number) {
    this.#passMs = passMs;
  }

  async infer(images: readonly InferenceImage[], outputs: readonly OutputRequest[]) {
    this.computed += images.length;
    await sleep(this.#passMs);
    const own = images.map((one) => ({ ...one, rgb: new Uint8Array(one.rgb) }));
    return this.#network.infer(own, outputs);
  }

  async close(): Promise<void> {}
}

await runMain('bench:answers', async () => {
  const {
    steps,
    'pass-ms': passMs,
    'prefetch-steps': prefetch,
  } = readOptions(OPTIONS, process.argv.slice(2));
  const lines = ['| teachers | answers kept | students | images/s | different crops | computed |'];
  lines.push('| ---: | --- | ---: | ---: | ---: | ---: |');
  for (const teachers of [2, 4]) {
    for (const [isKept, students] of [
      [false, 1],
      [true, 1],
      [true, 2],
    ] as const) {
      const { rate, computed } = await measure({
        ...{ teachers, isKept, students, steps, passMs, prefetch },
      });
      const shown = [teachers, isKept ? 'yes' : 'no', students, rate.toFixed(1)];
      lines.push(`| ${[...shown, steps * STEP_IMAGES, computed].join(' | ')} |`);
    }
  }
  process.stdout.write(`${lines.join('\n')}\n`);
});
