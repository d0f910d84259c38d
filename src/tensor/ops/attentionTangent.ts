/**
 * The directional derivative of dot-product attention (attention.ts), on a tape: how the output moves
 * when query, key and value move. With it a gradient's gradient needs no second backward pass.
 *
 * N maps, P positions of queries, M of keys and values, Q channels of queries and keys, C of values; a
 * tile is G maps with R queries each.
 *
 * With E = factor * query key', A = softmax(E) per row and a dot for derivatives:
 *     E. = factor * (query. key' + query key.')
 *     A. = A * (E. - row sums of A * E.)
 *     out. = A. value + A value.
 * Computed in the tiles of attention, and again for the gradient.
 */
import { accumulatedSums } from '../accumulatedSum.js';
import { scalar } from '../create.js';
import type { Tape, Var } from '../tape.js';
import { scope, type Tensor } from '../tensor.js';
import {
  type AttentionOptions,
  type Group,
  groupsOf,
  rangeOf,
  shares,
  type Tile,
} from './attention.js';
import { add, mul, sub } from './elementwise.js';
import { batchMatMul } from './linalg.js';
import { sum } from './reduce.js';
import { concat, rows } from './shape.js';

/** query [N, P, Q], key [N, M, Q], value [N, M, C]. */
export interface Attended<T> {
  readonly query: T;
  readonly key: T;
  readonly value: T;
}

interface Inputs {
  readonly at: Attended<Tensor>;
  readonly along: Attended<Tensor>;
  readonly factor: number;
}

/** The derivative of attention at `at` along `along`, [N, P, C]; differentiable in both. */
export function attentionTangent(
  tape: Tape,
  at: Attended<Var>,
  along: Attended<Var>,
  options: AttentionOptions,
): Var {
  const vars = [at.query, at.key, at.value, along.query, along.key, along.value];
  const values = vars.map((one) => one.value);
  const groups = groupsOf(at.query.shape, at.key.shape, options);
  const part = ({ map, maps }: Group): Inputs => {
    const [query, key, value, query2, key2, value2] = values.map((x) => rows(x, map, maps));
    return {
      at: { query: query!, key: key!, value: value! },
      along: { query: query2!, key: key2!, value: value2! },
      factor: options.factor,
    };
  };
  const out_NPC = scope(() =>
    concat(
      groups.map((group) => scope(() => groupOutput(part(group), group))),
      0,
    ),
  );
  return tape.record(out_NPC, vars, values, (dy_NPC) => {
    const parts = groups.map((group) =>
      scope(() => groupGradients(part(group), rows(dy_NPC, group.map, group.maps), group)),
    );
    return vars.map((_, input) =>
      concat(
        parts.map((gradients) => gradients[input]!),
        0,
      ),
    );
  });
}

function groupOutput(inputs: Inputs, { tiles }: Group): Tensor {
  const { at, along } = inputs;
  const parts = tiles.map((tile) =>
    scope(() => {
      const { share_GRM, moved_GRM } = movedShares(inputs, tile);
      return add(batchMatMul(moved_GRM, at.value), batchMatMul(share_GRM, along.value));
    }),
  );
  return concat(parts, 1);
}

/** A, A. and E. less its mean under A, each [G, R, M]; and the scaled queries. */
function movedShares({ at, along, factor }: Inputs, tile: Tile) {
  const scaled = (x: Tensor) => scope(() => mul(rangeOf(x, tile), scalar(factor)));
  const [query_GRQ, queryAlong_GRQ] = [scaled(at.query), scaled(along.query)];
  const share_GRM = shares(query_GRQ, at.key);
  const product_GRM = scope(() =>
    add(
      batchMatMul(queryAlong_GRQ, at.key, { transposeB: true }),
      batchMatMul(query_GRQ, along.key, { transposeB: true }),
    ),
  );
  const centred_GRM = centred(product_GRM, share_GRM);
  const moved_GRM = mul(share_GRM, centred_GRM);
  return { query_GRQ, queryAlong_GRQ, share_GRM, product_GRM, centred_GRM, moved_GRM };
}

/** x less its mean per row under the shares. */
function centred(x_GRM: Tensor, share_GRM: Tensor): Tensor {
  return scope(() => sub(x_GRM, meanUnder(share_GRM, x_GRM)));
}

function meanUnder(share_GRM: Tensor, x_GRM: Tensor): Tensor {
  return scope(() => sum(mul(share_GRM, x_GRM), [2], true));
}

/** Of query, key, value, then of their directions. Keys' and values' are added up tile by tile. */
function groupGradients(inputs: Inputs, dy_GPC: Tensor, { tiles }: Group): readonly Tensor[] {
  const { at } = inputs;
  const queries: (readonly [Tensor, Tensor])[] = [];
  const shapes = [at.key.shape, at.value.shape, at.key.shape, at.value.shape];
  const [key, value, keyAlong, valueAlong] = accumulatedSums(shapes, (...adds) => {
    for (const tile of tiles) {
      queries.push(scope(() => tileGradients(inputs, rangeOf(dy_GPC, tile), tile, adds)));
    }
  });
  const ofQuery = (index: 0 | 1) =>
    concat(
      queries.map((pair) => pair[index]),
      1,
    );
  return [ofQuery(0), key!, value!, ofQuery(1), keyAlong!, valueAlong!];
}

/** Adds the gradients of key, value and their directions; gives the query's and its direction's. */
function tileGradients(
  inputs: Inputs,
  dy_GRC: Tensor,
  tile: Tile,
  [addKey, addValue, addKeyAlong, addValueAlong]: readonly ((part: Tensor) => void)[],
): readonly [Tensor, Tensor] {
  const { at, along, factor } = inputs;
  const moved = movedShares(inputs, tile);
  const { query_GRQ, queryAlong_GRQ, share_GRM, moved_GRM } = moved;
  const transposed = { transposeA: true };
  addValue!(batchMatMul(moved_GRM, dy_GRC, transposed));
  addValueAlong!(batchMatMul(share_GRM, dy_GRC, transposed));
  const [dProduct_GRM, dProductAlong_GRM] = productGradients(inputs, dy_GRC, moved);
  addKeyAlong!(batchMatMul(dProductAlong_GRM, query_GRQ, transposed));
  addKey!(batchMatMul(dProductAlong_GRM, queryAlong_GRQ, transposed));
  addKey!(batchMatMul(dProduct_GRM, query_GRQ, transposed));
  const query = add(batchMatMul(dProductAlong_GRM, along.key), batchMatMul(dProduct_GRM, at.key));
  const ofScaled = [query, batchMatMul(dProductAlong_GRM, at.key)] as const;
  return [mul(ofScaled[0], scalar(factor)), mul(ofScaled[1], scalar(factor))];
}

/** With respect to E and to E., each [G, R, M]. */
function productGradients(
  { at, along }: Inputs,
  dy_GRC: Tensor,
  { share_GRM, product_GRM, centred_GRM }: ReturnType<typeof movedShares>,
): readonly [Tensor, Tensor] {
  return scope(() => {
    const toValue = (value: Tensor) => batchMatMul(dy_GRC, value, { transposeB: true });
    // With respect to A.; out. = A. value, and A. = A * (E. - its mean under A).
    const dMoved_GRM = toValue(at.value);
    const mean_GR1 = meanUnder(share_GRM, dMoved_GRM);
    const dShare_GRM = scope(() => {
      const ofMoved = sub(mul(dMoved_GRM, centred_GRM), mul(product_GRM, mean_GR1));
      return add(ofMoved, toValue(along.value));
    });
    const ofSoftmax = (dShare: Tensor) => mul(share_GRM, centred(dShare, share_GRM));
    return [ofSoftmax(dShare_GRM), ofSoftmax(dMoved_GRM)] as const;
  });
}
