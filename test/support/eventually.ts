/** Waits until a condition holds; the runner's timeout ends a wait in vain. */
import { setTimeout } from 'node:timers/promises';

export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(5);
}
