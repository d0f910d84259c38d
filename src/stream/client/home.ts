/**
 * The home of an image: the teacher of a fleet to which every student sends it, without any talk between
 * students. By rendezvous hashing (D. Thaler and C. Ravishankar, IEEE/ACM Transactions on Networking
 * 6(1), 1998): when a teacher comes or goes, only images move that have their home there.
 */
import { crc32c } from '../../wire/crc32c.js';

/** undefined without teachers. Students agree if they have the same addresses for them. */
export function homeOf<L extends { readonly address: string }>(
  imageCrc32c: number,
  teachers: readonly L[],
): L | undefined {
  let home: L | undefined;
  let highest = -1;
  for (const teacher of teachers) {
    const score = mixed(hashOf(teacher) ^ mixed(imageCrc32c));
    if (score < highest || (score === highest && home!.address < teacher.address)) continue;
    home = teacher;
    highest = score;
  }
  return home;
}

/** Hashes of addresses: every image that waits is tried at every change of a teacher. */
const hashes = new WeakMap<object, number>();

function hashOf(teacher: { readonly address: string }): number {
  const known = hashes.get(teacher);
  if (known !== undefined) return known;
  const hash = crc32c(Buffer.from(teacher.address));
  hashes.set(teacher, hash);
  return hash;
}

/**
 * A 32-bit number in which every bit depends on every bit of `value`: the last steps of MurmurHash3
 * (A. Appleby). A checksum alone is linear, and would give some teachers more images than others.
 */
function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
