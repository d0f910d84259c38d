/** Answers to a connection's first questions that no server should give, at a real student's client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MutatedGreetings } from '../support/oip/mutatedGreeting.js';

/** CIRKD_MUTATIONS=5000: 1,500. */
const GREETINGS = 0.3 * Number(process.env['CIRKD_MUTATIONS'] ?? 1500);
const GREETED_AT_ONCE = 6;
/** It says what the server said, of 16 tensors at most. */
const REFUSAL = /^[^\p{Cc}\p{Cf}\p{Cs}]{1,8000}$/u;

test(`${GREETINGS} connections with a mutated answer to the first questions`, async (t) => {
  const ends = { right: 0, other: 0, refused: 0 };
  let next = 0;
  async function greetOn(): Promise<void> {
    const greetings = await MutatedGreetings.open(t);
    while (next < GREETINGS) {
      const number = next++;
      const end = await greetings.greet(number).catch((error: Error) => {
        throw new Error(`greeting ${number}: ${error.message}`, { cause: error });
      });
      ends[end.kind]++;
      if (end.kind !== 'refused') continue;
      assert.match(end.message, REFUSAL);
      assert.ok(end.message.includes(greetings.server.address), end.message);
    }
  }
  await Promise.all(Array.from({ length: GREETED_AT_ONCE }, greetOn));
  t.diagnostic(JSON.stringify(ends));
  for (const [kind, count] of Object.entries(ends)) assert.ok(count > 0, `none ended ${kind}`);
  assert.deepEqual(Object.keys(Object.prototype), []);
});
