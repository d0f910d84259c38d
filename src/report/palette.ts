/** Font and colours of a report. */

export const FONT = "'DejaVu Sans', system-ui, sans-serif";
export const INK = '#1f2933';
export const MUTED = '#5f6b7a';
export const GRID = '#e4e8ed';
export const AXIS = '#b6bec8';

/** Okabe and Ito's palette, told apart by colour-blind people too; yellow left out on white. */
const PALETTE = [
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#222222',
] as const;

/** The colour for an index, which may exceed the palette's length. */
export function paletteColor(index: number): string {
  return PALETTE[index % PALETTE.length]!;
}
