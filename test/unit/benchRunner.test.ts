/** What every bench goes through: options, checks before any work, rounds, kept results, pages, exit codes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Bench, benchMain } from '../../bench/support/bench.js';
import { tableOf } from '../../bench/support/markdown.js';
import {
  flag,
  number,
  pairs,
  readOptions,
  text,
  texts,
  wholeNumber,
  wholeNumbers,
} from '../../bench/support/options.js';
import { machineLine } from '../../bench/support/results.js';
import { inRounds } from '../../bench/support/rounds.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cirkd-bench-'));
after(() => rmSync(folder, { recursive: true }));

const OPTIONS = {
  ...{ rounds: wholeNumber(12), budget: number(20), quick: flag, cases: text, set: texts },
  ...{ batches: wholeNumbers([1, 2]), seeds: wholeNumbers([0], 0), sizes: pairs('x', [[1, 2]]) },
};

test('options have defaults and are parsed', () => {
  assert.deepEqual(readOptions(OPTIONS, []), {
    ...{ rounds: 12, budget: 20, quick: false, cases: undefined, set: [] },
    ...{ batches: [1, 2], seeds: [0], sizes: [[1, 2]] },
  });
  const given =
    '--rounds 3 --budget 0.5 --quick --cases a,b --set x=1 --set y=2 --batches 4 --seeds 0,1 --sizes 3x4,5x6';
  assert.deepEqual(readOptions(OPTIONS, given.split(' ')), {
    ...{ rounds: 3, budget: 0.5, quick: true, cases: 'a,b', set: ['x=1', 'y=2'] },
    ...{
      batches: [4],
      seeds: [0, 1],
      sizes: [
        [3, 4],
        [5, 6],
      ],
    },
  });
});

test('an invalid option is named, with the given and the wanted value', () => {
  const refuses = (argv: string[], message: RegExp) =>
    assert.throws(() => readOptions(OPTIONS, argv), message);
  refuses(
    ['--rounds', '0'],
    /^UsageError: --rounds: 0 given, wanted a whole number of at least 1$/,
  );
  refuses(['--rounds', ''], /--rounds/);
  refuses(['--budget=-1'], /--budget: -1 given, wanted a number of at least 0/);
  refuses(['--budget', 'x'], /--budget: x given, wanted a number of at least 0/);
  refuses(['--batches', '1,0'], /--batches: 1,0 given, wanted whole numbers of at least 1 with/);
  for (const sizes of ['3', '3y4', '3x4x5', '3x0']) {
    refuses(['--sizes', sizes], /--sizes: .* given, wanted pairs such as 1x2 with commas/);
  }
  refuses(['--render'], /--render/);
});

test('sides take turns, the warm-up does not count, and the first side alternates within a group', async () => {
  const order: string[] = [];
  const rounds: string[] = [];
  const turn = (side: string) => {
    order.push(side);
    return order.length;
  };
  const groups = [['a', 'b'], ['c']];
  const how = { rounds: 2, warmUp: 1, alternating: true };
  const after = (group: number, round: number, values: readonly number[]) =>
    rounds.push(`${group} ${round}: ${values}`);
  assert.deepEqual(await inRounds(groups, { ...how, after }, turn), [
    [5, 7],
    [4, 8],
    [6, 9],
  ]);
  assert.equal(order.join(''), 'abcbacabc');
  assert.deepEqual(rounds, ['0 0: 1,2', '1 0: 3', '0 1: 5,4', '1 1: 6', '0 2: 7,8', '1 2: 9']);
});

test('a table has a column for each header, in order, also for equal headers', () => {
  const table = tableOf(
    [1, 2],
    [
      ['n', String],
      ['n', (n) => `${n * n}`],
    ],
  );
  assert.equal(table, '| n | n |\n| --- | --- |\n| 1 | 1 |\n| 2 | 4 |');
});

interface Found {
  readonly figure: number;
}

/** Finds the number of its calls. */
function counting() {
  let calls = 0;
  const bench: Bench<{ rounds: ReturnType<typeof wholeNumber> }, Found> = {
    name: 'counting',
    options: { rounds: wholeNumber(1) },
    plan: () => ({
      sections: ['counting'],
      threads: 3,
      async measure({ keep }) {
        calls += 1;
        await keep({ figure: -1 });
        return { figure: calls };
      },
    }),
    page: {
      sections: (results, plot) => ({ counting: `${results.figure}, ${results.threads}, ${plot}` }),
      plot: ({ figure }) => `<svg>${figure}</svg>`,
    },
  };
  let printed = '';
  const print = (text: string) => {
    printed += text;
  };
  return {
    calls: () => calls,
    printed: () => printed,
    run: (...argv: string[]) => benchMain(bench, argv, print),
  };
}

test('a missing page, or one without a marked section, is refused before anything is measured', async () => {
  const { calls, run } = counting();
  const none = join(folder, 'none.md');
  await assert.rejects(run('--out', none), /^UsageError: --out: .*none\.md given, wanted a page/);
  const bare = join(folder, 'bare.md');
  writeFileSync(bare, 'no place');
  await assert.rejects(run('--out', bare), /bare\.md has no '<!-- counting: begin -->' …/);
  const below = join(bare, 'results.json');
  await assert.rejects(run('--results', below), /^UsageError: --results: .*results\.json given/);
  await assert.rejects(run('--rounds', '0'), /--rounds: 0 given/);
  await assert.rejects(run('--render', none), /^UsageError: --render: .*none\.md given/);
  assert.equal(calls(), 0);
});

test('--help prints what each option takes and its default, and measures nothing', async () => {
  const { calls, printed, run } = counting();
  await run('--rounds', '0', '--help');
  assert.match(printed(), /^usage: npm run bench:counting -- \[options\]\n/);
  assert.match(printed(), /\n {2}--rounds +a whole number of at least 1 \(default 1\)\n/);
  assert.match(printed(), /\n {2}--render +a file with results of an earlier run/);
  assert.equal(calls(), 0);
});

test('results are saved, written to the page with their plot, and can be rendered again', async () => {
  const { calls, run } = counting();
  const [page, kept] = [join(folder, 'page.md'), join(folder, 'kept', 'results.json')];
  writeFileSync(page, 'a\n<!-- counting: begin -->\n<!-- counting: end -->\nz\n');
  await run('--results', kept, '--out', page);
  const written =
    'a\n<!-- counting: begin -->\n1, 3, page-counting.svg\n<!-- counting: end -->\nz\n';
  assert.equal(readFileSync(page, 'utf8'), written);
  assert.equal(readFileSync(join(folder, 'page-counting.svg'), 'utf8'), '<svg>1</svg>\n');
  const results = JSON.parse(readFileSync(kept, 'utf8'));
  assert.deepEqual([results.figure, results.threads], [1, 3]);
  writeFileSync(page, written.replace('1, 3', '0, 0'));
  await run('--render', kept, '--out', page);
  assert.equal(readFileSync(page, 'utf8'), written);
  assert.equal(calls(), 1, 'rendering measures nothing');
});

test('the line above the tables has the commit of the results that record one', () => {
  const machine = { processor: 'A processor', memoryGiB: 24, node: '20.0.0' };
  const there = { date: '2026-01-02T03:04:05.000Z', minutes: 5, machine, threads: 2, engines: {} };
  assert.match(machineLine(there), /UTC, 5 minutes\. A processor, 2 cores, .* –, –\.$/);
  assert.match(machineLine({ ...there, commit: 'abc' }), /–\. Commit abc\.$/);
});

const node = (...args: string[]) => [process.execPath, '--import', 'tsx', ...args];

/** All benches that write a page, and what the command line must have besides. */
const WITH_PAGE: Readonly<Record<string, readonly string[]>> = {
  fleet: [],
  group: [],
  kernels: [],
  losses: [],
  step: [],
  transport: [],
  wire: ['--teacher', 'none.safetensors', '--camvid', 'none'],
};

for (const [name, besides] of Object.entries(WITH_PAGE)) {
  test(`bench:${name} without its page ends with exit code 2 and one line, before any work`, () => {
    const page = ['--out', join(folder, 'none.md')];
    const [program, ...args] = node(`bench/${name}/main.ts`, ...besides, ...page);
    const { status, stderr } = spawnSync(program!, args, { cwd: ROOT, encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    const line = new RegExp(`^bench:${name}: --out: .*none\\.md given, wanted a page[^\\n]*\\n$`);
    assert.match(stderr, line);
  });
}

test('every bench that writes a page is among those', () => {
  const benches = readdirSync(join(ROOT, 'bench'), { withFileTypes: true })
    .filter(
      (entry) => entry.isDirectory() && existsSync(join(ROOT, 'bench', entry.name, 'main.ts')),
    )
    .map(({ name }) => name)
    .filter((name) =>
      /\brunBench\(/.test(readFileSync(join(ROOT, 'bench', name, 'main.ts'), 'utf8')),
    );
  assert.deepEqual(benches.toSorted(), Object.keys(WITH_PAGE));
});

test('a reader that closes the pipe of bench:structure early causes no error', () => {
  const checkout = join(folder, 'checkout');
  for (const top of ['src', 'services']) mkdirSync(join(checkout, top), { recursive: true });
  writeFileSync(join(checkout, 'src', 'one.ts'), 'export {};\n');
  // The shell's reader is gone before anything is written.
  const command = `${node('bench/structure/main.ts', checkout)
    .map((each) => `'${each}'`)
    .join(' ')} | true; echo "\${PIPESTATUS[0]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', command], { cwd: ROOT, encoding: 'utf8' });
  assert.deepEqual([stdout, stderr], ['0\n', '']);
});
