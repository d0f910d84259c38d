/** JPEGs that viewers show, and of which decoders complain. */

/** 18 bytes that belong to nothing behind the first segment, as some cameras write them. */
export function withExtraneousBytes(jpeg: Buffer): Buffer {
  const behindFirst = 4 + jpeg.readUInt16BE(4);
  const extraneous = Buffer.alloc(18, 7);
  return Buffer.concat([jpeg.subarray(0, behindFirst), extraneous, jpeg.subarray(behindFirst)]);
}
