/** Waits until a condition holds. */
import { setTimeout } from 'node:timers/promises';

/** Long enough for a slow machine; a wait in vain must not cost a tier's whole time. */
export const WAIT_MS = 60_000;

/** Throws after `timeoutMs` with the text of the condition. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = WAIT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs / 1000} s in vain for ${condition.toString()}`);
    }
    await setTimeout(5);
  }
}
