/** Who gives way when an image comes to a full queue. */
import type { Work } from './work.js';

/**
 * Bounds of all that waits. An image takes one place of `maxImages`, a large one as many as its
 * pixels need at maxBytes / maxImages each: so both bounds hold, and one number says who has how
 * much.
 */
export interface QueueLimits {
  readonly maxImages: number;
  readonly maxBytes: number;
}

/**
 * The images whose places `newcomer` may have: none when there is room. Undefined where there is
 * none and nobody has to make some.
 *
 * The newest image of the run that has most gives way, or else that of the own run's stream that
 * has most; unless that left the loser with less than the winner, who would only change places.
 *
 * @param waiting each stream's in order of arrival
 */
export function givingWay(
  waiting: readonly Work[],
  newcomer: Work,
  limits: QueueLimits,
): Work[] | undefined {
  const placesOf = (works: readonly Work[]) =>
    works.reduce((sum, { image }) => sum + places(image.rgb.length, limits), 0);
  const needed = placesOf([newcomer]);

  /** Of the group that has most, its newest image, if `newcomer`'s group still had less. */
  function newestOfRichest(groups: Map<unknown, Work[]>, own: unknown): Work | undefined {
    const richest = [...groups.values()].reduce(
      (most, group) => (placesOf(group) > placesOf(most) ? group : most),
      [],
    );
    const loser = longestLine(richest).at(-1);
    if (loser === undefined) return undefined;
    const isFair =
      placesOf(richest) - placesOf([loser]) >= placesOf(groups.get(own) ?? []) + needed;
    return isFair ? loser : undefined;
  }

  function longestLine(works: readonly Work[]): Work[] {
    const lines = [...groupedBy(works, ({ stream }) => stream).values()];
    return lines.reduce((most, line) => (placesOf(line) > placesOf(most) ? line : most), []);
  }

  const { name, stream } = newcomer;
  const left = [...waiting];
  const losers: Work[] = [];
  while (placesOf(left) + needed > limits.maxImages) {
    const runs = groupedBy(left, (work) => work.name.run);
    const ownStreams = groupedBy(runs.get(name.run) ?? [], (work) => work.stream);
    const loser = newestOfRichest(runs, name.run) ?? newestOfRichest(ownStreams, stream);
    if (loser === undefined) return undefined;
    left.splice(left.indexOf(loser), 1);
    losers.push(loser);
  }
  return losers;
}

function places(bytes: number, { maxImages, maxBytes }: QueueLimits): number {
  return Math.max(1, (bytes * maxImages) / maxBytes);
}

function groupedBy(works: readonly Work[], key: (work: Work) => unknown): Map<unknown, Work[]> {
  const groups = new Map<unknown, Work[]>();
  for (const work of works) {
    const group = groups.get(key(work));
    if (group) group.push(work);
    else groups.set(key(work), [work]);
  }
  return groups;
}
