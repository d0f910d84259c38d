/**
 * The home of an image: the teacher of a fleet to which every student sends it, without any talk between
 * students. They agree if they have the same addresses for the teachers. By rendezvous hashing (D. Thaler and C. Ravishankar, IEEE/ACM Transactions on Networking
 * 6(1), 1998): when a teacher comes or goes, only images move that have their home there.
 */
import { crc32c } from '../../wire/crc32c.js';

/** The teachers in the order in which the image should go to them, its home first. */
export function homesOf<L extends { readonly address: string }>(
  imageCrc32c: number,
  teachers: readonly L[],
): L[] {
  const image = mixed(imageCrc32c);
  const scored = teachers.map((teacher) => ({ teacher, score: mixed(hashOf(teacher) ^ image) }));
  scored.sort((a, b) => b.score - a.score || (a.teacher.address < b.teacher.address ? -1 : 1));
  return scored.map(({ teacher }) => teacher);
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
