/** What each way of sending does to each loss and its gradient, on real images. */
import type { Dataset, Sample } from '../../src/data/types.js';
import { decodeReplies } from '../../src/distill/decodeReply.js';
import { LogitsRebuild } from '../../src/distill/rebuildLogits.js';
import { drawnChoices } from '../../src/memory/choices.js';
import type { TeacherNetwork } from '../../src/models/teacher/teacherNetwork.js';
import { scope } from '../../src/tensor/index.js';
import { replyOf, requestsOf, WIRE_CASES } from './cases.js';
import { BANK_ROWS, type BenchStudent } from './students.js';
import { TEACHER_TERMS, type TeacherTerm } from '../../src/contract/terms.js';
import { TermProbe, type TermValue } from './termProbe.js';

/** How far one way of sending moves a term. */
export interface Change {
  /** |loss - loss in fp32| / |loss in fp32| */
  readonly loss: number;
  /** Cosine between the gradient and that in fp32. */
  readonly cosine: number;
  /** | |gradient| / |gradient in fp32| - 1 | */
  readonly length: number;
}

export interface Accuracy {
  readonly student: string;
  readonly batches: number;
  /** Of fp32 with logits sent, mean over the batches. */
  readonly losses: Readonly<Record<TeacherTerm, number>>;
  /** Of each case, in the order of WIRE_CASES: the worst of the batches. */
  readonly changes: readonly Readonly<Record<TeacherTerm, Change>>[];
}

const NO_CHANGE: Change = { loss: 0, cosine: 1, length: 0 };
const SEED = 1;
const IMAGES = 2;

export async function measureAccuracy(
  teacher: TeacherNetwork,
  student: BenchStudent,
  dataset: Dataset,
  batches: number,
): Promise<Accuracy> {
  const rows = {
    classes: teacher.info.classes,
    channels: teacher.info.featureChannels,
    precision: 'fp32',
    ringWrap: 'ring',
    sampling: 'filled',
  } as const;
  const probes = WIRE_CASES.map(() => new TermProbe(student.settings, rows, BANK_ROWS));
  const rebuild = new LogitsRebuild(teacher.classifier());
  const losses: Record<TeacherTerm, number> = { ...ZERO };
  const changes = WIRE_CASES.map(() => everyTerm(() => NO_CHANGE));
  for (let batch = 0; batch < batches; batch++) {
    const samples = await Promise.all(
      // Spread over the list: neighbours are frames of one film.
      Array.from({ length: IMAGES }, (_, i) => {
        const place = (batch * IMAGES + i) / (batches * IMAGES);
        return dataset.load(Math.floor(place * dataset.samples.length));
      }),
    );
    scope(() => {
      const pass = student.forward(together(samples), labelsOf(samples));
      const values = WIRE_CASES.map((wireCase, index) =>
        scope(() => {
          const answers = teacher.infer(samples, requestsOf(wireCase));
          const replies = answers.map((answer) => {
            if (answer instanceof Error) throw answer;
            return replyOf(answer);
          });
          const outputs = decodeReplies(replies, rebuild);
          const draws = () => drawnChoices(SEED, batch, 0);
          return probes[index]!.evaluate(pass, outputs, draws, batch);
        }),
      );
      for (const term of TEACHER_TERMS) {
        const exact = values[0]!.get(term)!;
        losses[term] += exact.loss / batches;
        for (const [index, own] of values.entries()) {
          const change = changeOf(own.get(term)!, exact);
          changes[index]![term] = worse(changes[index]![term], change);
        }
      }
    });
  }
  rebuild.dispose();
  return { student: student.name, batches, losses, changes };
}

function everyTerm<T>(value: () => T): Record<TeacherTerm, T> {
  return Object.fromEntries(TEACHER_TERMS.map((term) => [term, value()])) as Record<TeacherTerm, T>;
}

const ZERO = everyTerm(() => 0);

function together(samples: readonly Sample[]) {
  const { height, width } = samples[0]!;
  return { height, width, rgb: samples.map(({ rgb }) => rgb) };
}

function labelsOf(samples: readonly Sample[]) {
  const { height, width } = samples[0]!;
  const data = Uint8Array.from(samples.flatMap(({ labels }) => [...labels]));
  return { data, images: samples.length, height, width };
}

function changeOf(value: TermValue, exact: TermValue): Change {
  let [dot, own, other] = [0, 0, 0];
  for (const [i, x] of value.gradient.entries()) {
    const y = exact.gradient[i]!;
    dot += x * y;
    own += x * x;
    other += y * y;
  }
  return {
    loss: Math.abs(value.loss - exact.loss) / Math.abs(exact.loss),
    cosine: dot / Math.sqrt(own * other),
    length: Math.abs(Math.sqrt(own / other) - 1),
  };
}

function worse(a: Change, b: Change): Change {
  return {
    loss: Math.max(a.loss, b.loss),
    cosine: Math.min(a.cosine, b.cosine),
    length: Math.max(a.length, b.length),
  };
}

/** What counts as harmless: every loss within 1 %, every gradient's cosine above 0.999. */
export function isHarmless({ loss, cosine }: Change): boolean {
  return loss < 0.01 && cosine > 0.999;
}
