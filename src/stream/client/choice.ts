/** Which teacher gets an image: one that idles, or the one that will have answered it first. */
import type { TeacherLink } from './link.js';
import type { ImageRequest } from './request.js';

/** What the choice knows of a teacher. */
export type Candidate = Pick<
  TeacherLink,
  'address' | 'available' | 'failing' | 'hasRoom' | 'load' | 'msAnImage' | 'refusal' | 'refusalOf'
>;

/**
 * Why no teacher will ever take such an image; undefined while one does, or may: who hasn't said
 * welcome yet may take what the others don't.
 */
export function refusalOfAll(
  request: ImageRequest,
  links: readonly Candidate[],
): string | undefined {
  const refusals = links
    .filter(({ refusal }) => refusal === undefined)
    .map((link) => link.refusalOf(request));
  return refusals.every((refusal) => refusal !== undefined) ? refusals[0] : undefined;
}

export class TeacherChoice {
  #turn = 0;

  /** Undefined: the image waits. Then some teacher has something to do and will say when it has room. */
  pick<L extends Candidate>(request: ImageRequest, links: readonly L[]): L | undefined {
    const takers = links.filter(
      (link) =>
        link.refusal === undefined && link.available && link.refusalOf(request) === undefined,
    );
    const preferred = preferredOf(request, takers);
    const roomy = preferred.filter((link) => link.hasRoom(request));
    // Nobody idles while something waits, and a teacher that was slow shows whether it still is.
    const idle = roomy.filter(({ load }) => load === 0);
    if (idle.length > 0) return this.#inTurn(idle);
    // With a fast teacher's queue full, waiting for it may still be faster than a slow one.
    const worthWaiting = preferred.filter(
      (link) => (link.load > 0 && !link.failing) || link.hasRoom(request),
    );
    const first = this.#first(worthWaiting);
    return first?.hasRoom(request) ? first : undefined;
  }

  /** Of those that answer soonest the one with the least to do; of these each in its turn. */
  #first<L extends Candidate>(links: readonly L[]): L | undefined {
    const known = links.flatMap(({ msAnImage }) => msAnImage ?? []);
    // A new teacher is taken to be as fast as the fastest, until it has shown.
    const guessMs = known.length > 0 ? Math.min(...known) : 0;
    const doneMs = ({ load, msAnImage }: L) => (load + 1) * (msAnImage ?? guessMs);
    const soonest = least(links, doneMs);
    return this.#inTurn(least(soonest, ({ load }) => load));
  }

  #inTurn<L>(links: readonly L[]): L | undefined {
    return links[this.#turn++ % Math.max(1, links.length)];
  }
}

/**
 * The image of a failed attempt goes elsewhere, and to a teacher that is well: a sick one says nothing
 * about the image, and mustn't use up its attempts. Even if that one is busy.
 */
function preferredOf<L extends Candidate>(
  request: ImageRequest,
  takers: readonly L[],
): readonly L[] {
  if (request.failedAt.size === 0) return takers;
  const isNew = ({ address }: L) => !request.failedAt.has(address);
  const isWell = ({ failing }: L) => !failing;
  const both = (link: L) => isNew(link) && isWell(link);
  // A second answer that isn't finite is the last: it should be another's.
  const rules = request.nonFiniteReplies > 0 ? [both, isNew, isWell] : [both, isWell, isNew];
  for (const rule of rules) {
    const preferred = takers.filter(rule);
    if (preferred.length > 0) return preferred;
  }
  return takers;
}

function least<T>(all: readonly T[], size: (one: T) => number): T[] {
  const smallest = Math.min(...all.map(size));
  return all.filter((one) => size(one) === smallest);
}
