/** What a group's processes tell one another beside their collectives (../native/attendance.cc). */
import { int32, readInt32 } from '../create.js';
import { executeAll } from '../execute.js';
import { scope, type Tensor } from '../tensor.js';

const COMMANDS = { begin: 0, leave: 1, abandon: 2 } as const;

export interface Attending {
  readonly rank: number;
  readonly size: number;
  readonly intervalMs: number;
}

/**
 * Tells the others, again and again, for how long this process has been in its pending collective. Returns
 * the descriptor of a socket on which the news of all come, as lines of text; -1 if none could be opened. The caller
 * closes it.
 */
export function beginAttendance({ rank, size, intervalMs }: Attending): number {
  return attend([COMMANDS.begin, rank, size, intervalMs]);
}

/** Ends it. @param all all processes call it now: waits for them, so that none is left alone in a collective */
export function endAttendance(all: boolean): void {
  attend([all ? COMMANDS.leave : COMMANDS.abandon, 0, 0, 0]);
}

function attend(numbers: number[]): number {
  return scope(() => {
    const [descriptor] = executeAll('CirkdAttend', [int32(numbers, [numbers.length])], [], 1);
    return readInt32(descriptor as Tensor)[0]!;
  });
}
