/** Who imports whom, file by file, types included; and the circles in that. */
import { posix } from 'node:path';
import type { Source } from './sources.js';
import { importedModules, resolveRelative } from './sources.js';

/** A node's name to the names of those that it imports; all of them are nodes. */
export type ImportGraph = ReadonlyMap<string, ReadonlySet<string>>;

/** Only imports between the given files count. */
export function importGraph(sources: readonly Source[]): ImportGraph {
  const byName = new Map(sources.map(({ path }) => [withoutExtension(path), path]));
  return new Map(
    sources.map((source) => {
      const targets = importedModules(source).flatMap(({ specifier }) => {
        const target = resolveRelative(source.path, specifier);
        const path = target === undefined ? undefined : byName.get(withoutExtension(target));
        return path === undefined || path === source.path ? [] : [path];
      });
      return [source.path, new Set(targets)];
    }),
  );
}

/** The same between groups of files: `groupOf` names a file's. */
export function groupedGraph(graph: ImportGraph, groupOf: (path: string) => string): ImportGraph {
  const grouped = new Map<string, Set<string>>();
  for (const [path, targets] of graph) {
    const from = groupOf(path);
    const known = grouped.get(from) ?? new Set();
    grouped.set(from, known);
    for (const target of targets) if (groupOf(target) !== from) known.add(groupOf(target));
  }
  return grouped;
}

/** `src/models/heads/aspp.ts` → `src/models/heads`. */
export function folderOf(path: string): string {
  return posix.dirname(path);
}

/**
 * Nodes that reach each other, two or more together: the strongly connected components.
 * Source: Tarjan, "Depth-first search and linear graph algorithms" (1972).
 */
export function circles(graph: ImportGraph): string[][] {
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const isOpen = new Set<string>();
  const found: string[][] = [];
  const enter = (node: string): void => {
    order.set(node, order.size);
    lowest.set(node, order.get(node)!);
    open.push(node);
    isOpen.add(node);
    for (const target of graph.get(node) ?? []) {
      if (!order.has(target)) enter(target);
      if (!isOpen.has(target)) continue;
      lowest.set(node, Math.min(lowest.get(node)!, lowest.get(target)!));
    }
    if (lowest.get(node) !== order.get(node)) return;
    const members = open.splice(open.indexOf(node));
    for (const member of members) isOpen.delete(member);
    if (members.length > 1) found.push(members.sort());
  };
  for (const node of graph.keys()) if (!order.has(node)) enter(node);
  return found.sort((a, b) => a[0]!.localeCompare(b[0]!));
}

/**
 * Imports that run back up: those between nodes of one circle, less those that a line of the circle's
 * nodes could do with. 0 where there is no circle.
 */
export function arrowsUp(graph: ImportGraph): number {
  return circles(graph).reduce((sum, members) => sum + againstBestOrder(graph, members), 0);
}

/** Each node is put before the one that would have the most arrows against it; exact for small circles. */
function againstBestOrder(graph: ImportGraph, members: readonly string[]): number {
  const left = new Set(members);
  let against = 0;
  while (left.size > 0) {
    const counted = [...left].map((node) => {
      const outward = [...(graph.get(node) ?? [])].filter((target) => left.has(target));
      return { node, arrows: outward.length };
    });
    const next = counted.reduce((best, each) => (each.arrows < best.arrows ? each : best));
    against += next.arrows;
    left.delete(next.node);
  }
  return against;
}

function withoutExtension(path: string): string {
  return path.replace(/\.m?[jt]s$/, '');
}
