/** Which folder may import which, and which folder alone may import a package. */
import type { Source, Violation } from './sources.js';
import { importedModules, resolveRelative } from './sources.js';

/** What both sides of the wire agree on. Imports nothing, so every folder may import it. */
const GROUND = 'contract';

/**
 * src/<key> may import src/<value>, besides itself and the ground folder. docs/architecture.md shows the same table; a
 * test compares.
 */
export const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  random: [],
  config: [],
  tensor: [],
  collectives: ['tensor'],
  wire: [],
  telemetry: [],
  rpc: [],
  threads: [],
  data: ['random', 'threads'],
  memory: ['random', 'wire'],
  losses: ['tensor'],
  models: ['tensor', 'random', 'wire'],
  graphs: ['tensor', 'wire', 'models', 'threads'],
  distill: ['collectives', 'losses', 'memory', 'tensor', 'wire'],
  // run: files that survive a loss of power.
  answers: ['wire', 'threads', 'run'],
  stream: ['rpc', 'wire', 'threads', 'answers'],
  // A teacher behind another protocol is a link of the same fleet, its requests wait in the same queue.
  oip: ['rpc', 'wire', 'stream', 'threads'],
  // data: the types of a batch, which the loop hands on.
  train: ['collectives', 'distill', 'models', 'tensor', 'losses', 'data', 'threads'],
  evaluate: ['tensor', 'data', 'models'],
  run: ['wire'],
  report: ['run', 'telemetry'],
  conformance: [
    ...['random', 'tensor', 'wire', 'memory', 'losses'],
    ...['models', 'distill', 'train', 'evaluate'],
  ],
};

/**
 * Inner folders: src/<key> may import src/<value> of its own folder, besides itself. So the two ends of
 * the wire never import each other.
 */
export const INNER: Readonly<Record<string, readonly string[]>> = {
  'stream/codec': ['stream/generated'],
  'stream/client': ['stream/codec', 'stream/generated'],
  'stream/server': ['stream/codec', 'stream/generated'],
  'oip/codec': ['oip/generated'],
  'oip/client': ['oip/codec', 'oip/generated'],
  'oip/server': ['oip/codec', 'oip/generated'],
};

/** Packages that one or two folders alone may import. */
const OWNERS: readonly { readonly packages: RegExp; readonly folders: readonly string[] }[] = [
  { packages: /^@tensorflow\//, folders: ['src/tensor'] },
  { packages: /^@grpc\/|^grpc-/, folders: ['src/rpc', 'src/stream', 'src/oip'] },
  { packages: /^onnxruntime-/, folders: ['src/graphs'] },
  { packages: /^(prom-client|pino)$/, folders: ['src/telemetry'] },
  { packages: /^echarts/, folders: ['src/report'] },
  { packages: /^(cacache|lru-cache)$/, folders: ['src/answers'] },
];

export function importViolations(source: Source): Violation[] {
  const folder = folderOf(source.path);
  return importedModules(source).flatMap(({ specifier, line }) => {
    const target = resolveRelative(source.path, specifier);
    const rule =
      target === undefined
        ? packageRule(folder, specifier)
        : (folderRule(folder, folderOf(target)) ?? innerRule(source.path, target));
    return rule === undefined ? [] : [{ path: source.path, line, rule }];
  });
}

/** Allowances of both tables that no file uses, as `train → wire`. */
export function unusedAllowances(sources: readonly Source[]): string[] {
  const used = new Set<string>();
  for (const source of sources) {
    for (const { specifier } of importedModules(source)) {
      const target = resolveRelative(source.path, specifier);
      if (target === undefined) continue;
      used.add(arrow(folderOf(source.path).slice(4), folderOf(target).slice(4)));
      used.add(arrow(innerFolderOf(source.path), innerFolderOf(target)));
    }
  }
  const all = [...Object.entries(ALLOWED), ...Object.entries(INNER)];
  const allowed = all.flatMap(([from, names]) => names.map((to) => arrow(from, to)));
  return allowed.filter((each) => !used.has(each));
}

const arrow = (from: string | undefined, to: string | undefined) => `${from} → ${to}`;

/** `src/tensor/ops/reduce.ts` → `src/tensor`. */
function folderOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

/** `src/stream/client/link.ts` → `stream/client`; undefined for a file right in a folder of src. */
function innerFolderOf(path: string): string | undefined {
  return /^src\/([^/]+\/[^/]+)\//.exec(path)?.[1];
}

/** Between the inner folders of one folder that has a rule for them; a file of its own is in none. */
function innerRule(path: string, target: string): string | undefined {
  const from = innerFolderOf(path);
  const to = innerFolderOf(target);
  const allowed = from === undefined ? undefined : INNER[from];
  if (folderOf(path) !== folderOf(target) || from === to) return undefined;
  if (allowed === undefined) return undefined;
  if (to !== undefined && allowed.includes(to)) return undefined;
  return `src/${from} may import ${allowed.join(', ')}; not ${target}`;
}

function packageRule(folder: string, specifier: string): string | undefined {
  const owner = OWNERS.find(({ packages }) => packages.test(specifier));
  if (owner === undefined || owner.folders.includes(folder)) return undefined;
  return `only ${owner.folders.join(' and ')} may import ${specifier}`;
}

function folderRule(from: string, to: string): string | undefined {
  if (from === to || from.startsWith('services/')) return undefined;
  if (to.startsWith('services/')) return 'nothing imports services';
  const allowed = ALLOWED[from.replace(/^src\//, '')];
  if (allowed === undefined) return `${from} is not in the import rule (importRule.ts)`;
  if (to === `src/${GROUND}` || allowed.some((name) => to === `src/${name}`)) return undefined;
  const may = allowed.length === 0 ? 'no other folder' : allowed.join(', ');
  return `${from} may import ${may}; not ${to}`;
}
