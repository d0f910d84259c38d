/**
 * Dot-product attention on a tape.
 *
 * N maps (images, or images times heads), P positions of queries, M of keys and values, Q channels of
 * queries and keys, C of values; a tile is G maps with R queries each.
 *
 * out_i = sum over j of softmax over j of (factor query_i . key_j) times value_j. The P x M matrices are
 * computed in tiles, and again for the gradient: they are never in memory as a whole.
 * Source: Vaswani et al., "Attention is all you need" (2017), section 3.2.1.
 */
import { accumulatedSum } from '../accumulatedSum.js';
import { scalar } from '../create.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import { mul, sub } from './elementwise.js';
import { batchMatMul } from './linalg.js';
import { sum } from './reduce.js';
import { concat, reshape, rows, slice } from './shape.js';
import { softmax } from './softmax.js';

export interface AttentionOptions {
  /** Multiplies the products before the softmax. */
  readonly factor: number;
  /** Elements of a tile of the matrices; at least one row of M is computed at a time. */
  readonly tileElements: number;
}

/** query [N, P, Q], key [N, M, Q], value [N, M, C] -> [N, P, C]. */
export function attention(
  tape: Tape,
  query: Var,
  key: Var,
  value: Var,
  options: AttentionOptions,
): Var {
  const inputs = { query: query.value, key: key.value, value: value.value, factor: options.factor };
  const groups = groupsOf(query.shape, key.shape, options);
  const out_NPC = scope(() => {
    const parts = groups.map((group) => scope(() => groupOutput(partOf(inputs, group), group)));
    return concat(parts, 0);
  });
  const saved = [query.value, key.value, value.value];
  return tape.record(out_NPC, [query, key, value], saved, (dy_NPC) => {
    const parts = groups.map((group) =>
      scope(() => {
        const dy_GPC = rows(dy_NPC, group.map, group.maps);
        return groupGradients(partOf(inputs, group), dy_GPC, group);
      }),
    );
    return ([0, 1, 2] as const).map((input) =>
      concat(
        parts.map((part) => part[input]),
        0,
      ),
    );
  });
}

/** Adjacent maps that are computed together: several where whole matrices fit into a tile. */
export interface Group {
  readonly map: number;
  readonly maps: number;
  readonly tiles: readonly { readonly begin: number; readonly count: number }[];
}

export type Tile = Group['tiles'][number];

interface Inputs {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly value: Tensor;
  readonly factor: number;
}

/** The tiles for queries and keys of these shapes. */
export function groupsOf(
  [maps = 0, positions = 0]: readonly number[],
  [, keys = 0]: readonly number[],
  { tileElements }: AttentionOptions,
): Group[] {
  const together = Math.max(1, Math.floor(tileElements / (positions * keys)));
  const step = Math.min(positions, Math.max(1, Math.floor(tileElements / keys)));
  const tiles = Array.from({ length: Math.ceil(positions / step) }, (_, index) => {
    const begin = index * step;
    return { begin, count: Math.min(step, positions - begin) };
  });
  return Array.from({ length: Math.ceil(maps / together) }, (_, index) => {
    const map = index * together;
    return { map, maps: Math.min(together, maps - map), tiles };
  });
}

function partOf({ query, key, value, factor }: Inputs, { map, maps }: Group): Inputs {
  const part = (x: Tensor) => rows(x, map, maps);
  return { query: part(query), key: part(key), value: part(value), factor };
}

function groupOutput(inputs: Inputs, { tiles }: Group): Tensor {
  const parts = tiles.map((tile) =>
    scope(() => {
      const query_GRQ = scaledQueries(inputs, tile);
      return batchMatMul(shares(query_GRQ, inputs.key), inputs.value);
    }),
  );
  return concat(parts, 1);
}

/** Gradients of query, key and value. Those of key and value are added up in place, tile by tile. */
function groupGradients(
  inputs: Inputs,
  dy_GPC: Tensor,
  { tiles }: Group,
): readonly [Tensor, Tensor, Tensor] {
  const queries: Tensor[] = [];
  let value = inputs.value;
  const key = accumulatedSum(inputs.key.shape, (addKey) => {
    value = accumulatedSum(inputs.value.shape, (addValue) => {
      for (const tile of tiles) {
        queries.push(scope(() => tileGradients(inputs, dy_GPC, tile, addKey, addValue)));
      }
    });
  });
  return [concat(queries, 1), key, value];
}

function tileGradients(
  inputs: Inputs,
  dy_GPC: Tensor,
  tile: Tile,
  addKey: (part: Tensor) => void,
  addValue: (part: Tensor) => void,
): Tensor {
  const query_GRQ = scaledQueries(inputs, tile);
  const dy_GRC = rangeOf(dy_GPC, tile);
  const share_GRM = shares(query_GRQ, inputs.key);
  addValue(batchMatMul(share_GRM, dy_GRC, { transposeA: true }));
  const dProduct_GRM = scope(() => {
    const dShare_GRM = batchMatMul(dy_GRC, inputs.value, { transposeB: true });
    const along_GR1 = scope(() => sum(mul(dShare_GRM, share_GRM), [2], true));
    return mul(share_GRM, sub(dShare_GRM, along_GR1));
  });
  share_GRM.dispose();
  addKey(batchMatMul(dProduct_GRM, query_GRQ, { transposeA: true }));
  return mul(batchMatMul(dProduct_GRM, inputs.key), scalar(inputs.factor));
}

/** Rows of the softmax, [G, R, M]. */
export function shares(query_GRQ: Tensor, key_GMQ: Tensor): Tensor {
  return scope(() => softmax(batchMatMul(query_GRQ, key_GMQ, { transposeB: true })));
}

function scaledQueries({ query, factor }: Inputs, tile: Tile): Tensor {
  return scope(() => mul(rangeOf(query, tile), scalar(factor)));
}

/** The tile's rows of each map. */
export function rangeOf(x_GPC: Tensor, { begin, count }: Tile): Tensor {
  const [maps = 0, positions = 0, channels = 0] = x_GPC.shape;
  if (count === positions) return reshape(x_GPC, x_GPC.shape);
  return slice(x_GPC, [0, begin, 0], [maps, count, channels]);
}
