/**
 * Servers of one scripted model, of which all but the last give each image's first answer mutated, and a student of
 * all of them. What may be taken of a mutated answer is judged by answerVerdict.ts; what was taken is seen from the
 * student's attempts.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { TeacherImage, TeacherReply } from '../../../src/contract/teacher.js';
import { drawsFor } from '../../../src/random/draws.js';
import type { AttemptEvent, TeacherState } from '../../../src/stream/client/options.js';
import { imageOf } from '../students/scriptedStudent.js';
import { type Acceptable, acceptable } from './answerVerdict.js';
import { isAnswer, mutatedMessage } from './mutatedMessages.js';
import { assertOipAnswer, type OipStudent, oipServer, oipStudent } from './oipStudent.js';
import { CHANNELS, CLASSES, type ModelShape, STRIDE } from './scriptedModel.js';
import type { Fault, ScriptedOipServer } from './scriptedOipServer.js';

const [HEIGHT, WIDTH] = [17, 24];
const MAP = { height: Math.ceil(HEIGHT / STRIDE), width: Math.ceil(WIDTH / STRIDE) };
const SHAPE: ModelShape = { input: { datatype: 'UINT8' } };
/**
 * An answer that never comes costs so much; one that does mustn't take so long on a busy machine. Over calls
 * something always comes.
 */
const TIMEOUT_MS = { calls: 60_000, stream: 15_000 } as const;
/** Nothing may take so long. */
const HANGING_MS = 120_000;
/** One answer in so many comes twice over a stream. */
const TWICE = 20;

interface Mutated {
  readonly key: string;
  readonly mutation: string;
}

export interface FleetChoices {
  readonly usesStream: boolean;
  /** How many of them mutate. */
  readonly servers: number;
  readonly seed: number;
}

export class MutatingFleet {
  readonly mutated: Mutated[] = [];
  readonly events: AttemptEvent[] = [];
  readonly states: TeacherState[] = [];
  readonly good: ScriptedOipServer;
  readonly #student: OipStudent;
  /** Wire id (request.attempt) to the image's number. */
  readonly #imageOfKey: Map<string, number>;
  readonly #open: Set<string>;
  readonly #accepted: Map<number, Acceptable[]>;
  readonly #targeted: Set<string>;

  static async start(t: TestContext, choices: FleetChoices): Promise<MutatingFleet> {
    const parts = new FleetParts(choices);
    const script = { onBytes: parts.onBytes, onImage: parts.onImage };
    const mutating = Array.from({ length: choices.servers }, () => oipServer(t, SHAPE, script));
    const good = await oipServer(t, SHAPE);
    const servers = [...(await Promise.all(mutating)), good];
    const settings = {
      normalisation: null,
      stream: choices.usesStream ? ('always' as const) : ('never' as const),
    };
    const states: TeacherState[] = [];
    const student = await oipStudent(t, servers, settings, {
      ...{
        requestTimeoutMs: TIMEOUT_MS[choices.usesStream ? 'stream' : 'calls'],
        teacherTimeoutMs: HANGING_MS,
      },
      ...{ firstBackoffMs: 1, maxBackoffMs: 4, maxInflightImagesPerTeacher: 4 },
      // Connections end for other reasons often enough.
      breakerFailures: 30,
      onAttempt: parts.onAttempt,
      onTeacher: (state) => states.push(state),
    });
    return new MutatingFleet(parts, student, good, states);
  }

  private constructor(
    parts: FleetParts,
    student: OipStudent,
    good: ScriptedOipServer,
    states: TeacherState[],
  ) {
    this.mutated = parts.mutated;
    this.events = parts.events;
    this.#imageOfKey = parts.imageOfKey;
    this.#open = parts.open;
    this.#accepted = parts.accepted;
    this.#targeted = parts.targeted;
    this.#student = student;
    this.good = good;
    this.states = states;
  }

  get observed(): OipStudent['observed'] {
    return this.#student.observed;
  }

  /** Asks for image `number` and fails unless the reply is right, or what a mutated answer may say. */
  async ask(number: number): Promise<void> {
    const image = imageOf(number, HEIGHT, WIDTH);
    const reply = await this.#student.teacher.request(image, AbortSignal.timeout(HANGING_MS));
    const accepted = this.#accepted.get(number) ?? [];
    if (!accepted.some((each) => isReply(reply, each))) assertRight(reply, image);
  }

  /** Fails if an attempt counts as answered whose one answer nobody may take. */
  assertRefused(): void {
    const answered = new Set(
      this.events
        .filter(({ kind }) => kind === 'answered')
        .map(({ request, attempt }) => `${request}.${attempt}`),
    );
    const taken = this.mutated.filter(({ key }) => answered.has(key) && !this.#targeted.has(key));
    assert.deepEqual(taken, []);
    assert.equal(this.#open.size, 0, `${this.#open.size} attempts without an end`);
    assert.ok(this.#imageOfKey.size >= this.mutated.length);
  }
}

/** What the servers and the student's hooks write down. */
class FleetParts {
  readonly mutated: Mutated[] = [];
  readonly events: AttemptEvent[] = [];
  readonly imageOfKey = new Map<string, number>();
  readonly open = new Set<string>();
  readonly accepted = new Map<number, Acceptable[]>();
  /** Keys for which an acceptable answer was sent, mutated or not. */
  readonly targeted = new Set<string>();
  readonly #method: string;
  readonly #seed: number;
  readonly #spoilt = new Set<number>();

  constructor({ usesStream, seed }: FleetChoices) {
    this.#method = usesStream ? 'ModelStreamInfer' : 'ModelInfer';
    this.#seed = seed;
  }

  readonly onAttempt = (event: AttemptEvent): void => {
    const key = `${event.request}.${event.attempt}`;
    this.events.push(event);
    if (event.kind === 'sent') {
      this.imageOfKey.set(key, Number(event.sample.replace('sample-', '')));
      this.open.add(key);
    } else this.open.delete(key);
  };

  readonly onImage: Fault = async ({ answer, write, number }) => {
    if (write !== undefined && number % TWICE === 0) write({ inferResponse: await answer() });
    return answer();
  };

  readonly onBytes = (method: string, bytes: Buffer): Buffer => {
    const key = isAnswer(method) ? keyIn(bytes, method) : undefined;
    const image = key === undefined ? undefined : this.imageOfKey.get(key);
    if (key === undefined || image === undefined) return bytes;
    if (this.#spoilt.has(image)) {
      this.targeted.add(key);
      return bytes;
    }
    this.#spoilt.add(image);
    const draws = drawsFor(this.#seed, 'test', image);
    const { mutation, bytes: changed } = mutatedMessage(method, bytes, draws, [...this.open]);
    this.mutated.push({ key, mutation });
    this.#judge(key, changed);
    return changed;
  };

  #judge(key: string, changed: Buffer): void {
    const verdict = acceptable(this.#method, changed, MAP);
    if (verdict === null) return;
    // Over a call no id is needed, and none that is another image's is taken.
    const isFree = this.#method === 'ModelInfer' && !/^[0-9]{1,15}\.[0-9]{1,9}$/.test(verdict.id);
    const target = isFree ? key : verdict.id;
    const image = this.imageOfKey.get(target);
    if (image === undefined || (this.#method === 'ModelInfer' && target !== key)) return;
    this.targeted.add(target);
    this.accepted.set(image, [...(this.accepted.get(image) ?? []), verdict]);
  }
}

function keyIn(bytes: Buffer, method: string): string | undefined {
  return acceptable(method, bytes, MAP)?.id;
}

function assertRight(reply: TeacherReply, image: TeacherImage): void {
  const raw = { pixelMean: [0, 0, 0], pixelStd: [1, 1, 1], channelOrder: 'rgb' } as const;
  assertOipAnswer(reply, image, SHAPE, raw);
}

/** Whether a reply has the values of an answer, bit for bit. */
function isReply(reply: TeacherReply, { logits, feature }: Acceptable): boolean {
  const positions = MAP.height * MAP.width;
  const rows = (data: Buffer, channels: number) => {
    const planes = new Float32Array(new Uint8Array(data).buffer);
    return Array.from({ length: positions }, (_, p) =>
      Array.from({ length: channels }, (_, c) => planes[c * positions + p]!),
    );
  };
  const isSame = (tensor: TeacherReply['logits'], wanted: readonly number[]) => {
    const given = new Float32Array(tensor!.data);
    return given.length === wanted.length && wanted.every((value, i) => Object.is(value, given[i]));
  };
  const features = rows(feature, CHANNELS);
  const norms = features.map((row) =>
    Math.fround(Math.sqrt(row.reduce((sum, value) => sum + value * value, 0))),
  );
  const units = features.map((row, p) =>
    row.map((value) => Math.fround(value / Math.max(norms[p]!, 1e-12))),
  );
  return (
    isSame(reply.logits, rows(logits, CLASSES).flat()) &&
    isSame(reply.embedding, units.flat()) &&
    isSame(reply.featureNorm, norms)
  );
}
