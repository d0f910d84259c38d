/** Names for the opcodes that are not read, for error messages. */

/** Opcodes that build objects, leave the file, or belong to the text form, with their names. */
export const REFUSED: ReadonlyMap<number, string> = new Map<number, string>([
  ...([
    [0x6f, 'OBJ'],
    [0x81, 'NEWOBJ'],
    [0x92, 'NEWOBJ_EX'],
    [0x82, 'EXT1'],
  ] as const),
  ...([
    [0x83, 'EXT2'],
    [0x84, 'EXT4'],
    [0x97, 'NEXT_BUFFER'],
    [0x98, 'READONLY_BUFFER'],
  ] as const),
  ...([
    [0x50, 'PERSID'],
    [0x49, 'INT'],
    [0x4c, 'LONG'],
    [0x46, 'FLOAT'],
  ] as const),
  ...([
    [0x53, 'STRING'],
    [0x56, 'UNICODE'],
    [0x54, 'BINSTRING'],
    [0x55, 'SHORT_BINSTRING'],
  ] as const),
  ...([
    [0x67, 'GET'],
    [0x70, 'PUT'],
    [0x64, 'DICT'],
    [0x6c, 'LIST'],
    [0x32, 'DUP'],
  ] as const),
  [0x80, 'PROTO'],
]);
