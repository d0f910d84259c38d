/** The papers against the code and the files: what they name is there. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Registry } from 'prom-client';
import { COMMANDS } from '../../services/cli/commandTable.js';
import { createStudentMetrics } from '../../src/telemetry/studentMetrics.js';
import { createTeacherMetrics } from '../../src/telemetry/teacherMetrics.js';
import { ALLOWED, INNER } from '../support/architecture/importRule.js';
import { walk } from '../support/architecture/sources.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const files = walk(ROOT, '.');
const papers = files.filter((path) => path.endsWith('.md'));
/** The project's folders, without those that a run or the set-up makes. */
const folders = new Set(
  files.filter((path) => path.includes('/')).map((path) => path.split('/')[0]!),
);

/** Targets of a text's links and pictures that lie in the project, without their anchors. */
function relativeLinks(markdown: string): string[] {
  const targets = [...markdown.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  return targets
    .filter((target) => !/^([a-z]+:|#)/.test(target))
    .map((target) => target.split('#')[0]!);
}

function brokenLinks(path: string, markdown: string): string[] {
  return relativeLinks(markdown)
    .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
    .map((target) => `${path}: ${target}`);
}

/** The cells of every row of a text's tables that begins with `code`. */
function codeRows(markdown: string): string[][] {
  return markdown
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()));
}

const codeWords = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);

test('relative links lead to existing files', () => {
  for (const needed of ['README.md', 'CHANGELOG.md', 'docs/architecture.md']) {
    assert.ok(papers.includes(needed), needed);
  }
  assert.deepEqual(
    papers.flatMap((path) => brokenLinks(path, read(path))),
    [],
  );
});

test('the link check sees a broken link', () => {
  const text = 'a [b](docs/config.md#student), [c](https://example.org/x) and ![d](no/such.png)';
  assert.deepEqual(brokenLinks('README.md', text), ['README.md: no/such.png']);
  assert.deepEqual(brokenLinks('docs/x.md', '[b](../README.md) [c](LICENSE)'), [
    'docs/x.md: LICENSE',
  ]);
});

/**
 * The paths in a text's code words that don't exist: from the project's root, or the end of a source file's path,
 * as in a table of one folder. NAME stands for any name, * for several.
 */
function lostPaths(markdown: string): string[] {
  const words = codeWords(markdown.replaceAll(/^(```| {4})[^\n]*$/gm, ''));
  return words.filter((word) => {
    const isRooted = /^[\w.-]+\/[\w./*-]*$/.test(word) && folders.has(word.split('/')[0]!);
    const isSource = /^[\w./*-]+\.(ts|mjs|cc|h)$/.test(word);
    if (!isRooted && !isSource) return false;
    const name = word
      .replace(/\/$/, '')
      .replaceAll('.', '\\.')
      .replaceAll(/NAME|\*/g, '[^/]*');
    const path = new RegExp(`(^${isRooted ? '' : '|/'})${name}(/|$)`);
    return !files.some((file) => path.test(file));
  });
}

test('paths of the project that the docs name are there', () => {
  const current = papers.filter((path) => /^docs\/|^(README|CONTRIBUTING)\.md$/.test(path));
  assert.ok(current.length > 15, current.join(', '));
  assert.deepEqual(
    current.flatMap((path) => lostPaths(read(path)).map((word) => `${path}: ${word}`)),
    [],
  );
});

test('the path check sees a path that is lost', () => {
  const there =
    '`src/train/loop.ts`, `loop.ts`, `src/losses/NAME.ts`, `test/unit/`, `runs/x`, `eval.py`';
  assert.deepEqual(lostPaths(there), []);
  const lost = ['src/train/lop.ts', 'rain/loop.ts', 'src/lossy/NAME.ts', 'test/unit/docs*.mjs'];
  assert.deepEqual(lostPaths(`\`${lost.join('`, `')}\``), lost);
});

test('docs/metrics.md has every metric with its type and labels, and no other', async () => {
  const described = codeRows(read('docs/metrics.md')).map(([name, type, labels]) => ({
    name: codeWords(name!)[0]!,
    type: type!,
    labels: codeWords(labels!),
  }));
  const served = (registry: Registry) =>
    registry
      .getMetricsAsArray()
      .filter(({ name }) => name.startsWith('cirkd_'))
      .map((metric) => {
        const { name, type, labelNames } = metric as unknown as Described & { type: string };
        return { name, type: String(type), labels: [...labelNames] };
      });
  const all = [createTeacherMetrics().registry, createStudentMetrics().registry].flatMap(served);
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
  assert.deepEqual(described.sort(byName), all.sort(byName));
});

interface Described {
  readonly name: string;
  readonly labelNames: readonly string[];
}

test('docs/architecture.md shows the import rule that is applied', () => {
  const text = read('docs/architecture.md');
  for (const [name, rule] of [
    ['import rule', ALLOWED],
    ['inner import rule', INNER],
  ] as const) {
    const marked = new RegExp(`<!-- ${name}: begin -->\\n([\\s\\S]*?)<!-- ${name}: end`);
    const [, table = ''] = marked.exec(text) ?? [];
    const shown = Object.fromEntries(
      codeRows(table).map(([folder, may]) => [codeWords(folder!)[0], codeWords(may!)]),
    );
    assert.deepEqual(shown, rule);
  }
});

test('README.md names every command', () => {
  const rows = codeRows(read('README.md')).map(([first]) => codeWords(first!)[0]!);
  const named = rows.filter((word) => word.startsWith('cirkd ')).map((word) => word.slice(6));
  assert.deepEqual(named.sort(), Object.keys(COMMANDS).sort());
});
