/** Answers that no server should give, at a real student's client, beside a server that answers well. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { MutatingFleet } from '../support/oip/mutatingFleet.js';

/** CIRKD_MUTATIONS=5000 takes minutes. */
const ANSWERS = Number(process.env['CIRKD_MUTATIONS'] ?? 600);
const SERVERS = 12;
/** Images asked for at a time. */
const UNDER_WAY = 60;
const MIB = 1_048_576;
const GROWTH_MIB = 192;
/** Reasons that have to occur: garbage, a wrong form, values that are not finite, nothing in time. */
const REASONS = ['error', 'shape', 'nonfinite', 'stream'] as const;
/** Nothing that a terminal would interpret, and no flood. */
const PRINTABLE = /^[^\p{Cc}\p{Cf}\p{Cs}]{1,1000}$/u;

async function takeMutatedAnswers(t: TestContext, usesStream: boolean): Promise<void> {
  const fleet = await MutatingFleet.start(t, { usesStream, servers: SERVERS, seed: 6 });
  const resident: number[] = [];
  let next = 1;
  async function askOn(): Promise<void> {
    while (fleet.mutated.length < ANSWERS) {
      await fleet.ask(next++);
      if (fleet.mutated.length >= (resident.length + 1) * (ANSWERS / 10)) {
        resident.push(process.memoryUsage().rss / MIB);
      }
    }
  }
  await Promise.all(Array.from({ length: UNDER_WAY }, askOn));
  const { events, good, observed, states } = fleet;
  fleet.assertRefused();
  const failed = events.filter(({ kind }) => kind === 'failed');
  const reasonOf = (reason: string) => /^\w+/.exec(reason)?.[0] ?? '';
  const counts = new Map<string, number>();
  for (const { reason } of failed) {
    const name = reasonOf(reason);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const told = [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
  const memory = resident.map(Math.round).join(', ');
  t.diagnostic(`${fleet.mutated.length} mutated answers for ${next - 1} images; failed: ${told}`);
  t.diagnostic(`resident MiB after each tenth: ${memory}`);
  for (const reason of REASONS) {
    assert.ok(observed.requeued.includes(reason), `nothing failed by '${reason}'`);
  }
  // Named, each with its server; and the image was asked for again, as every one was answered.
  for (const detail of observed.details) assert.match(detail, PRINTABLE);
  for (const { reason } of failed) assert.match(reason, PRINTABLE);
  // The good one was never in doubt.
  assert.deepEqual(
    observed.details.filter((detail) => detail.includes(good.address)),
    [],
  );
  const ofGood = events.filter(({ teacher }) => teacher === good.address);
  const answered = ofGood.filter(({ kind }) => kind === 'answered').length;
  assert.ok(answered > 100, `the good one answered ${answered} images`);
  const ended = ofGood.filter(({ kind }) => kind !== 'sent' && kind !== 'answered');
  assert.deepEqual(ended, []);
  assert.deepEqual(
    states.filter(({ address }) => address === good.address).map(({ state }) => state),
    ['connecting', 'ready'],
  );
  assert.equal(observed.inflightBytes, 0);
  const [first = 0, ...later] = resident.slice(2);
  assert.ok(Math.max(...later) < first + GROWTH_MIB, `MiB after each tenth: ${memory}`);
  // Names from a message end up in no prototype.
  assert.deepEqual(Object.keys(Object.prototype), []);
}

test(`${ANSWERS} mutated answers to calls`, (t) => takeMutatedAnswers(t, false));

test(`${ANSWERS} mutated answers over streams`, (t) => takeMutatedAnswers(t, true));
