/** Eviction: which images leave a full queue when another one comes. */
import type { QueuedRequest } from './turns.js';

/**
 * Bounds of all that waits. An image takes one slot of `maxImages`, a large one as many as its
 * pixels need at maxBytes / maxImages each: so both bounds hold, and one number says who has how
 * much.
 */
export interface QueueLimits {
  readonly maxImages: number;
  readonly maxBytes: number;
}

/**
 * The images that are evicted for `newcomer`: none when there is room. Undefined where there is none
 * and nobody has to make some.
 *
 * The newest image of the run that has most is evicted, or else that of the own run's stream that
 * has most; unless that left the victim with less than the winner, who would only swap slots.
 *
 * @param waiting each stream's in order of arrival
 */
export function chooseEvictions(
  waiting: readonly QueuedRequest[],
  newcomer: QueuedRequest,
  limits: QueueLimits,
): QueuedRequest[] | undefined {
  const slotsOf = (requests: readonly QueuedRequest[]) =>
    requests.reduce((sum, { image }) => sum + slots(image.rgb.length, limits), 0);
  const needed = slotsOf([newcomer]);

  /** Of the group that has most, its newest image, if `newcomer`'s group still had less. */
  function newestOfRichest(
    groups: Map<unknown, QueuedRequest[]>,
    own: unknown,
  ): QueuedRequest | undefined {
    const richest = [...groups.values()].reduce(
      (most, group) => (slotsOf(group) > slotsOf(most) ? group : most),
      [],
    );
    const victim = longestLine(richest).at(-1);
    if (victim === undefined) return undefined;
    const isFair = slotsOf(richest) - slotsOf([victim]) >= slotsOf(groups.get(own) ?? []) + needed;
    return isFair ? victim : undefined;
  }

  function longestLine(requests: readonly QueuedRequest[]): QueuedRequest[] {
    const lines = [...groupedBy(requests, ({ stream }) => stream).values()];
    return lines.reduce((most, line) => (slotsOf(line) > slotsOf(most) ? line : most), []);
  }

  const { name, stream } = newcomer;
  const left = [...waiting];
  const victims: QueuedRequest[] = [];
  while (slotsOf(left) + needed > limits.maxImages) {
    const runs = groupedBy(left, (request) => request.name.run);
    const ownStreams = groupedBy(runs.get(name.run) ?? [], (request) => request.stream);
    const victim = newestOfRichest(runs, name.run) ?? newestOfRichest(ownStreams, stream);
    if (victim === undefined) return undefined;
    left.splice(left.indexOf(victim), 1);
    victims.push(victim);
  }
  return victims;
}

function slots(bytes: number, { maxImages, maxBytes }: QueueLimits): number {
  return Math.max(1, (bytes * maxImages) / maxBytes);
}

function groupedBy(
  requests: readonly QueuedRequest[],
  key: (request: QueuedRequest) => unknown,
): Map<unknown, QueuedRequest[]> {
  const groups = new Map<unknown, QueuedRequest[]>();
  for (const request of requests) {
    const group = groups.get(key(request));
    if (group) group.push(request);
    else groups.set(key(request), [request]);
  }
  return groups;
}
