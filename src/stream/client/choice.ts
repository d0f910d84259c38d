/** Chooses the teacher for an image: an idle one, or the one expected to answer it first. */
import type { TeacherLink } from './link.js';
import type { ImageRequest } from './request.js';

/** The part of a link that the choice depends on. */
export type Candidate = Pick<
  TeacherLink,
  'address' | 'available' | 'failing' | 'hasRoom' | 'load' | 'msPerImage' | 'refusal' | 'refusalOf'
>;

/**
 * Why no teacher will ever take the image; undefined while one does or may: a teacher that hasn't said
 * welcome yet may accept what the others refuse.
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

  /** Undefined: the image has to wait. Then some teacher is busy and will report when it has room. */
  pick<L extends Candidate>(request: ImageRequest, links: readonly L[]): L | undefined {
    const eligible = links.filter(
      (link) =>
        link.refusal === undefined && link.available && link.refusalOf(request) === undefined,
    );
    const preferred = preferredOf(request, eligible);
    const withRoom = preferred.filter((link) => link.hasRoom(request));
    // No teacher should idle while images wait; besides, a slow one can show whether it still is.
    const idle = withRoom.filter(({ load }) => load === 0);
    if (idle.length > 0) return this.#inTurn(idle);
    // Even when a fast teacher's queue is full, waiting for it may beat using a slow one.
    const worthWaiting = preferred.filter(
      (link) => (link.load > 0 && !link.failing) || link.hasRoom(request),
    );
    const first = this.#first(worthWaiting);
    return first?.hasRoom(request) ? first : undefined;
  }

  /** The teacher that answers soonest; ties go to the one with the least load, then by turns. */
  #first<L extends Candidate>(links: readonly L[]): L | undefined {
    const known = links.flatMap(({ msPerImage }) => msPerImage ?? []);
    // A new teacher is assumed to be as fast as the fastest until it has answered.
    const guessMs = known.length > 0 ? Math.min(...known) : 0;
    const doneMs = ({ load, msPerImage }: L) => (load + 1) * (msPerImage ?? guessMs);
    const soonest = least(links, doneMs);
    return this.#inTurn(least(soonest, ({ load }) => load));
  }

  #inTurn<L>(links: readonly L[]): L | undefined {
    return links[this.#turn++ % Math.max(1, links.length)];
  }
}

/**
 * The image of a failed attempt goes to another teacher that is well, even a busy one: a failure at a
 * sick teacher says nothing about the image and mustn't use up its attempts.
 */
function preferredOf<L extends Candidate>(
  request: ImageRequest,
  eligible: readonly L[],
): readonly L[] {
  if (request.failedAt.size === 0) return eligible;
  const isNew = ({ address }: L) => !request.failedAt.has(address);
  const isWell = ({ failing }: L) => !failing;
  const both = (link: L) => isNew(link) && isWell(link);
  // A second non-finite answer is the last, so it should come from another teacher.
  const rules = request.nonFiniteReplies > 0 ? [both, isNew, isWell] : [both, isWell, isNew];
  for (const rule of rules) {
    const preferred = eligible.filter(rule);
    if (preferred.length > 0) return preferred;
  }
  return eligible;
}

function least<T>(all: readonly T[], size: (one: T) => number): T[] {
  const smallest = Math.min(...all.map(size));
  return all.filter((one) => size(one) === smallest);
}
