/**
 * Dot-product attention over the positions of each image, on a tape.
 *
 * N images, P positions, Q channels of queries and keys, C of values, R queries per tile.
 *
 * out_i = sum over j of softmax over j of (query_i . key_j) times value_j. Rows of the P x P matrix are
 * computed in tiles, and again for the gradient: it is never in memory as a whole.
 */
import { ops, scope, type Tape, type Tensor, type Var } from '../../tensor/index.js';
import { accumulatedSum } from '../accumulatedSum.js';
import { type Tiling, tileRowCount } from '../tiling.js';

/** query and key [N, P, Q], value [N, P, C] -> [N, P, C]. There's no factor on the products. */
export function attention(tape: Tape, query: Var, key: Var, value: Var, tiling: Tiling): Var {
  const [images = 0, positions = 0] = value.shape;
  const [query_NPQ, key_NPQ, value_NPC] = [query.value, key.value, value.value];
  const tiles = tilesOf(images, positions, tiling);
  const out_NPC = scope(() => {
    const parts = tiles.map((tile) =>
      scope(() => {
        const share_RP = shares(query_NPQ, key_NPQ, tile);
        return ops.matMul(share_RP, imageOf(value_NPC, tile.image));
      }),
    );
    return ops.reshape(ops.concat(parts, 0), value.shape);
  });
  const saved = [query_NPQ, key_NPQ, value_NPC];
  return tape.record(out_NPC, [query, key, value], saved, (dy) =>
    gradients(dy, query_NPQ, key_NPQ, value_NPC, tiles),
  );
}

interface Tile {
  readonly image: number;
  readonly begin: number;
  readonly count: number;
}

function tilesOf(images: number, positions: number, tiling: Tiling): Tile[] {
  const step = tileRowCount(positions, positions, tiling);
  const tiles: Tile[] = [];
  for (let image = 0; image < images; image++) {
    for (let begin = 0; begin < positions; begin += step) {
      tiles.push({ image, begin, count: Math.min(step, positions - begin) });
    }
  }
  return tiles;
}

function gradients(
  dy_NPC: Tensor,
  query_NPQ: Tensor,
  key_NPQ: Tensor,
  value_NPC: Tensor,
  tiles: readonly Tile[],
): Tensor[] {
  return scope(() => {
    const perImage = Array.from({ length: dy_NPC.shape[0]! }, (_, image) =>
      scope(() => {
        const [key_PQ, value_PC] = [imageOf(key_NPQ, image), imageOf(value_NPC, image)];
        const queries: Tensor[] = [];
        let value = value_PC;
        // In place: kept until the end, the tiles' parts would be as many as the positions.
        const key = accumulatedSum(key_PQ.shape, (addKey) => {
          value = accumulatedSum(value_PC.shape, (addValue) => {
            for (const tile of tiles.filter((tile) => tile.image === image)) {
              const part_RQ = scope(() => {
                const share_RP = shares(query_NPQ, key_NPQ, tile);
                const dy_RC = rangeOf(dy_NPC, tile);
                const dShare_RP = ops.matMul(dy_RC, value_PC, { transposeB: true });
                const along_R1 = ops.sum(ops.mul(dShare_RP, share_RP), [1], true);
                const dProduct_RP = ops.mul(share_RP, ops.sub(dShare_RP, along_R1));
                const query_RQ = rangeOf(query_NPQ, tile);
                addKey(ops.matMul(dProduct_RP, query_RQ, { transposeA: true }));
                addValue(ops.matMul(share_RP, dy_RC, { transposeA: true }));
                return ops.matMul(dProduct_RP, key_PQ);
              });
              queries.push(part_RQ);
            }
          });
        });
        return { query: ops.concat(queries, 0), key, value };
      }),
    );
    const whole = (part: 'query' | 'key' | 'value', like: Tensor) =>
      ops.reshape(
        ops.concat(
          perImage.map((image) => image[part]),
          0,
        ),
        like.shape,
      );
    return [whole('query', query_NPQ), whole('key', key_NPQ), whole('value', value_NPC)];
  });
}

/** Rows of the softmax, [R, P]. */
function shares(query_NPQ: Tensor, key_NPQ: Tensor, tile: Tile): Tensor {
  return scope(() => {
    const key_PQ = imageOf(key_NPQ, tile.image);
    return ops.softmax(ops.matMul(rangeOf(query_NPQ, tile), key_PQ, { transposeB: true }));
  });
}

function imageOf(x_NPC: Tensor, image: number): Tensor {
  const [, positions = 0, channels = 0] = x_NPC.shape;
  return ops.reshape(ops.rows(x_NPC, image, 1), [positions, channels]);
}

function rangeOf(x_NPC: Tensor, { image, begin, count }: Tile): Tensor {
  const channels = x_NPC.shape[2]!;
  return ops.reshape(ops.slice(x_NPC, [image, begin, 0], [1, count, channels]), [count, channels]);
}
