/**
 * What is measured: one loss on inputs of one size. And what it has to compute at least.
 *
 * N = images * H * W rows, C student channels, D teacher channels, M rows of both banks.
 */
import { SMALLEST_LOGITS } from '../../src/losses/adversarial/discriminator.js';

export interface Size {
  readonly height: number;
  readonly width: number;
}

export interface Channels {
  readonly student: number;
  readonly teacher: number;
}

/**
 * The terms with a row of their own: those of the methods compared with, the channel terms of CIRKD's second
 * version, and CIRKD's without a matrix of similarities. The other three are the losses `minibatch`
 * (minibatch_pixel) and `memory` (memory_pixel and memory_region).
 */
export const COMPARED_LOSSES = [
  'task',
  'logits_kd',
  'attention_transfer',
  'fitnet',
  'skd_pairwise',
  'skd_holistic',
  'ifvd',
  'cwd_feature',
  'cwd_logits',
  'dsd_psd',
  'dsd_csd',
  'minibatch_channel',
  'memory_channel',
  'channel_mse',
] as const;

export type ComparedLoss = (typeof COMPARED_LOSSES)[number];

export interface Point extends Size {
  readonly loss: 'minibatch' | 'memory' | ComparedLoss;
  readonly images: number;
  readonly channels: Channels;
}

/** 19 classes: 4096 // 19 + 1 and 1024 // 19 + 1 rows of each, the official contrast sizes. */
export const BANK_ROWS = { pixel: 19 * 216, region: 19 * 54 } as const;

/** Classes of Cityscapes. */
export const CLASSES = 19;

/** Rows of the bank of channels that are contrasted with: the official number. */
export const BANK_CHANNELS = 2048;

/** The size that the goals are about. */
const GOAL = { height: 64, width: 128, images: 2 };

/** The products that a loss can't do without, in multiply-adds. */
export interface Products {
  readonly student: number;
  readonly teacher: number;
  readonly gradient: number;
}

export const rowsOf = ({ images, height, width }: Point) => images * height * width;

/**
 * Mini-batch: the pairs (i, j) and (j, i) have one similarity. Two passes, as the normalisers must be
 * known before the gradient: twice N^2 / 2 for student and teacher each; and N^2 C for the gradient.
 * Memory: each row with each bank row, student, teacher and gradient.
 */
export function necessaryProducts(point: Point): Products {
  const rows = rowsOf(point);
  const { student, teacher } = point.channels;
  if (point.loss === 'memory') {
    const each = rows * (BANK_ROWS.pixel + BANK_ROWS.region) * teacher;
    return { student: each, teacher: each, gradient: each };
  }
  return {
    student: rows ** 2 * student,
    teacher: rows ** 2 * teacher,
    gradient: rows ** 2 * student,
  };
}

export const isCompared = ({ loss }: Point) => loss !== 'minibatch' && loss !== 'memory';

/** Multiply-adds to forecast with; of the compared losses only how they grow is known. */
export function work(point: Point): number {
  if (!isCompared(point)) return total(necessaryProducts(point));
  const { student, teacher } = point.channels;
  return WORK_PER_VALUE * rowsOf(point) * (student + teacher);
}

const WORK_PER_VALUE = 400;

/** What the peer multiplies: every ordered pair, and two gradients, as autograd does. */
export function peerProducts(point: Point): number {
  const { student, teacher, gradient } = necessaryProducts(point);
  return point.loss === 'memory' ? student + teacher + gradient : 2 * student + teacher + gradient;
}

export const total = ({ student, teacher, gradient }: Products) => student + teacher + gradient;

export function isGoal({ height, width, images }: Point): boolean {
  return height === GOAL.height && width === GOAL.width && images === GOAL.images;
}

export const sameChannels = (a: Point, b: Point) =>
  a.channels.student === b.channels.student && a.channels.teacher === b.channels.teacher;

export function pointName({ loss, images, height, width, channels }: Point): string {
  return `${loss} B${images} ${height}x${width} ${channels.student}/${channels.teacher}`;
}

const LOGITS: Channels = { student: CLASSES, teacher: CLASSES };
const PROJECTED: Channels = { student: 512, teacher: 512 };

/** A feature of 128 channels beside one of 512, unless named here. */
const CHANNELS: Partial<Record<ComparedLoss, Channels>> = {
  ...{ task: LOGITS, logits_kd: LOGITS, cwd_logits: LOGITS, dsd_csd: LOGITS, skd_holistic: LOGITS },
  ...{ minibatch_channel: PROJECTED, memory_channel: PROJECTED, channel_mse: PROJECTED },
};

/** Each compared loss at the goals' size, or the first one that it can be computed at, or the first one. */
export function comparedPoints(sizes: readonly Size[], batches: readonly number[]): Point[] {
  const images = batches.includes(GOAL.images) ? GOAL.images : batches[0]!;
  const goalFirst = [...sizes.filter(({ height }) => height === GOAL.height), ...sizes];
  return COMPARED_LOSSES.map((loss) => {
    const channels = CHANNELS[loss] ?? { student: 128, teacher: 512 };
    const points = goalFirst.map(({ height, width }) => ({
      loss,
      images,
      height,
      width,
      channels,
    }));
    return points.find((point) => unfitReason(point) === null) ?? points[0]!;
  });
}

/** Why a loss can't be computed at the point's size; null: it can. */
export function unfitReason({ loss, height, width }: Point): string | null {
  if (loss !== 'skd_holistic' || Math.min(height, width) >= SMALLEST_LOGITS) return null;
  const least = `${SMALLEST_LOGITS}x${SMALLEST_LOGITS}`;
  return `${height}x${width} is too small: the discriminator needs maps of ${least} or more`;
}

/** What the points are made of. */
export interface Extent {
  readonly sizes: readonly Size[];
  readonly batches: readonly number[];
  readonly channels: readonly Channels[];
}

/** Of `--quick`: the smallest size at which each loss can be computed. */
export const QUICK: Extent = {
  sizes: [{ height: SMALLEST_LOGITS, width: SMALLEST_LOGITS }],
  batches: [2],
  channels: [{ student: 128, teacher: 512 }],
};

/** A row for each term first, then the mini-batch loss at all sizes. */
export function allPoints({ sizes, batches, channels }: Extent): Point[] {
  const relational = listPoints(sizes, batches, channels);
  const first = relational.findIndex(({ loss }) => loss === 'memory') + 1;
  return [
    ...relational.slice(0, first),
    ...comparedPoints(sizes, batches),
    ...relational.slice(first),
  ];
}

/** The most important ones first: the goals', then two images at all sizes, then the cheapest. */
export function listPoints(
  sizes: readonly Size[],
  batches: readonly number[],
  channelPairs: readonly Channels[],
): Point[] {
  const minibatch = channelPairs.flatMap((channels) =>
    batches.flatMap((images) =>
      sizes.map((size): Point => ({ loss: 'minibatch', images, ...size, channels })),
    ),
  );
  const goals = minibatch.filter(isGoal);
  const pairs = minibatch.filter((point) => point.images === GOAL.images && !isGoal(point));
  const others = minibatch.filter((point) => point.images !== GOAL.images);
  const cost = (point: Point) => total(necessaryProducts(point));
  return [
    ...goals,
    memoryPoint(sizes, batches),
    ...pairs,
    ...others.sort((a, b) => cost(a) - cost(b)),
  ];
}

/** The student's rows come projected to the teacher's channels. */
function memoryPoint(sizes: readonly Size[], batches: readonly number[]): Point {
  const { height, width } = sizes.find((size) => size.height === GOAL.height) ?? sizes[0]!;
  const images = batches.includes(GOAL.images) ? GOAL.images : batches[0]!;
  return { loss: 'memory', images, height, width, channels: { student: 512, teacher: 512 } };
}
