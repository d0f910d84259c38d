/** Eviction: which images leave a full queue when another one arrives. */
import type { QueuedRequest } from './turns.js';

/**
 * Bounds on all waiting images. An image takes one slot of `maxImages`; a large one takes as many as
 * its pixels need at maxBytes / maxImages each. So both bounds hold, and slots alone measure each
 * run's share.
 */
export interface QueueLimits {
  readonly maxImages: number;
  readonly maxBytes: number;
}

/** Whether there certainly is room without evictions: at once, where chooseEvictions looks at each image. */
export function hasRoomFor(
  { image }: QueuedRequest,
  waiting: { readonly size: number; readonly bytes: number },
  { maxImages, maxBytes }: QueueLimits,
): boolean {
  // Together the images take no more slots than one each and those of their bytes.
  const bytes = waiting.bytes + image.rgb.length;
  return waiting.size + 1 + (bytes * maxImages) / maxBytes <= maxImages;
}

/**
 * The images to evict for `newcomer`; none if there is room. Undefined if there is no room and no
 * image may be evicted.
 *
 * Evicts the newest image of the run with the most slots or, failing that, of the newcomer's run's
 * stream with the most. Not if the victim then had less than the newcomer's side: slots would only be
 * swapped.
 *
 * @param waiting each stream's images in order of arrival
 */
export function chooseEvictions(
  waiting: readonly QueuedRequest[],
  newcomer: QueuedRequest,
  limits: QueueLimits,
): QueuedRequest[] | undefined {
  const slotsOf = (requests: readonly QueuedRequest[]) =>
    requests.reduce((sum, { image }) => sum + slots(image.rgb.length, limits), 0);
  const needed = slotsOf([newcomer]);

  /** The newest image of the group with the most slots, if `newcomer`'s group would still have less. */
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
