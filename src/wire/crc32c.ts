/**
 * CRC-32C (Castagnoli), the checksum of images and tensors on the wire.
 * Source: RFC 3720, appendix B.4; check value of "123456789" is 0xE3069283.
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';

/**
 * Unsigned 32-bit checksum of `bytes`. Uses the CPU's instruction: several GB/s.
 * @param before the checksum of what came before them, for bytes that come in pieces
 */
export function crc32c(bytes: Uint8Array, before = 0): number {
  return nativeCrc32c(bytes, before) >>> 0;
}
