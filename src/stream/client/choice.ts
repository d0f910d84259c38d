/**
 * Chooses the teacher for an image: an idle one, or the one expected to answer it first. Where teachers
 * keep their answers, the image's home, unless that makes it wait much longer.
 */
import { homesOf } from './home.js';
import type { TeacherLink } from './link.js';
import type { ImageRequest } from './request.js';

/** The part of a link that the choice depends on. */
export type Candidate = Pick<
  TeacherLink,
  | 'address'
  | 'available'
  | 'cachesAnswers'
  | 'failing'
  | 'hasRoom'
  | 'joining'
  | 'load'
  | 'msPerImage'
  | 'refusal'
  | 'refusalOf'
>;

/**
 * An image goes to its next home if this one is expected to answer it later than another teacher would
 * by more than this many answers: none idles for long. Other students with the same
 * images mostly do the same, so few are computed twice.
 */
const HOME_PATIENCE = 4;

/** Paces that differ by less than this factor count as the slower one, see above. */
const SAME_PACE = 3;

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
    const home = homeToUse(request, links, eligible);
    if (home !== undefined) return home.hasRoom(request) ? home : undefined;
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
    const doneMs = expectedMs(links);
    const soonest = least(links, (link) => doneMs(link));
    return this.#inTurn(least(soonest, ({ load }) => load));
  }

  #inTurn<L>(links: readonly L[]): L | undefined {
    return links[this.#turn++ % Math.max(1, links.length)];
  }
}

/**
 * The first of the image's homes, busy or not, that isn't far behind the others; undefined if no teacher
 * keeps answers, the image has failed before, or none can take it. A teacher that is about to join may be a home, so
 * that the first images of a run have the same one as later.
 */
function homeToUse<L extends Candidate>(
  request: ImageRequest,
  links: readonly L[],
  takers: readonly L[],
): L | undefined {
  if (request.failedAt.size > 0 || !takers.some((link) => link.cachesAnswers)) return undefined;
  const well = links.filter((link) => !link.failing && (link.joining || takers.includes(link)));
  const doneMs = expectedMs(well);
  const roomy = takers.filter((link) => link.hasRoom(request));
  // A pace is measured, and several students share a teacher: up to a few times as slow isn't slower.
  const paceMs = (home: L, link: L) =>
    Math.max(doneMs(link, 0), Math.min(doneMs(home, 0), SAME_PACE * doneMs(link, 0)));
  const isFarBehind = (home: L) =>
    roomy.some((link) => doneMs(home) > doneMs(link) + HOME_PATIENCE * paceMs(home, link));
  // Without load and without room: it waits for nothing that would end.
  const canTake = (home: L) => home.load > 0 || home.hasRoom(request);
  return homesOf(request.crc32c, well).find(
    (home) => home.joining || (canTake(home) && !isFarBehind(home)),
  );
}

/** How long a teacher would take for an image behind those that it has, or behind `load` of them. */
function expectedMs(links: readonly Candidate[]): (link: Candidate, load?: number) => number {
  const known = links.flatMap(({ msPerImage }) => msPerImage ?? []);
  // A new teacher is assumed to be as fast as the fastest until it has answered.
  const guessMs = known.length > 0 ? Math.min(...known) : 0;
  return ({ load, msPerImage }, before = load) => (before + 1) * (msPerImage ?? guessMs);
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
