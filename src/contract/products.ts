/** Numeric modes of a frozen network's forward pass, by the precision of its products; sums are float32 in each. */

export const PRODUCTS = ['float32', 'bfloat16'] as const;

export type Products = (typeof PRODUCTS)[number];
