/** Sides in turns, so that a slow moment of the machine hits them all. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Rounds<Value> {
  readonly rounds: number;
  /** Rounds before them that don't count; none unless given. */
  readonly warmUp?: number;
  /** Each side of a group is first in every other round. */
  readonly alternating?: boolean;
  /** Before each turn: threads of the side that has just computed go on for a moment. */
  readonly pauseMs?: number;
  /** Called after a group's turns. @param round from 1; a warm-up round is 0 or less */
  readonly after?: (group: number, round: number, values: readonly Value[]) => void;
}

/** The values of each side by rounds, in the order of the sides. One turn at a time. */
export async function inRounds<Side, Value>(
  groups: readonly (readonly Side[])[],
  { rounds, warmUp = 0, alternating = false, pauseMs = 0, after }: Rounds<Value>,
  turn: (side: Side) => Promise<Value> | Value,
): Promise<Value[][]> {
  const kept: Value[][][] = groups.map((sides) => sides.map(() => []));
  for (let round = 0; round < warmUp + rounds; round++) {
    for (const [group, sides] of groups.entries()) {
      const values: Value[] = [];
      const order = [...sides.keys()];
      if (alternating && round % 2 === 1) order.reverse();
      for (const index of order) {
        if (pauseMs > 0) await sleep(pauseMs);
        values[index] = await turn(sides[index]!);
      }
      after?.(group, round - warmUp + 1, values);
      if (round < warmUp) continue;
      for (const [index, value] of values.entries()) kept[group]![index]!.push(value);
    }
  }
  return kept.flat();
}
