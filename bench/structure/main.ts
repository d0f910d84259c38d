/**
 * The structure of src and services in figures:
 *
 *     npm run structure [FOLDER …]
 *
 * prints a table with a column for each checkout (this one, unless others are named).
 */
import { basename, resolve } from 'node:path';
import {
  arrowsUp,
  circles,
  folderOf,
  groupedGraph,
  importGraph,
} from '../../test/support/architecture/importGraph.js';
import { readSources, type Source } from '../../test/support/architecture/sources.js';
import { helped } from '../support/options.js';
import { runMain } from '../support/program.js';

const TOPS = ['src', 'services'];
const SHORT_LINES = 50;

type Figures = readonly (readonly [name: string, value: string])[];

function figuresOf(root: string): Figures {
  const sources = TOPS.flatMap((top) => readSources(root, top));
  const graph = importGraph(sources);
  const tops = groupedGraph(graph, (path) => path.split('/').slice(0, 2).join('/'));
  const folders = countBy(sources, ({ path }) => folderOf(path));
  const lines = sources.map(({ text }) => text.trimEnd().split('\n').length).sort((a, b) => a - b);
  const imports = [...graph.values()].reduce((sum, targets) => sum + targets.size, 0);
  const stream = [...folders].filter(([path]) => /^src\/stream\b/.test(path));
  return [
    ['folders', `${folders.size}`],
    ['files', `${sources.length}`],
    ['files of src/stream', `${stream.reduce((sum, [, files]) => sum + files, 0)}`],
    ['lines', `${lines.reduce((sum, count) => sum + count, 0)}`],
    ['lines per file, median', `${lines[Math.floor(lines.length / 2)] ?? 0}`],
    [`files under ${SHORT_LINES} lines`, `${lines.filter((count) => count < SHORT_LINES).length}`],
    ['files in the fullest folder', `${Math.max(...folders.values())}`],
    ['folders of more than 20 files', `${[...folders.values()].filter((n) => n > 20).length}`],
    ['imports between files', `${imports}`],
    ['arrows up between top folders', `${arrowsUp(tops)}`],
    ['circles between top folders', `${circles(tops).length}`],
    ['circles between files', `${circles(graph).length}`],
  ];
}

function countBy(sources: readonly Source[], key: (source: Source) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const source of sources) counts.set(key(source), (counts.get(key(source)) ?? 0) + 1);
  return counts;
}

await runMain('structure', () => {
  const folders = process.argv.slice(2);
  if (!helped('npm run structure [FOLDER …]', {}, folders)) structure(folders);
});

function structure(roots: readonly string[]): void {
  const checkouts = (roots.length === 0 ? ['.'] : roots).map((root) => resolve(root));
  const columns = checkouts.map(figuresOf);
  const titles = checkouts.map((root) => basename(root));
  const rows = columns[0]!.map(([name], row) => [
    name,
    ...columns.map((column) => column[row]![1]),
  ]);
  for (const cells of [['', ...titles], ['---', ...titles.map(() => '---:')], ...rows]) {
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
  for (const root of checkouts) {
    for (const members of circles(importGraph(TOPS.flatMap((top) => readSources(root, top))))) {
      process.stdout.write(`circle: ${members.join(', ')}\n`);
    }
  }
}
