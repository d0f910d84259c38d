/** A SavedModel's folder: its files, their hash and its description. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { CheckpointError } from '../wire/checkpointError.js';
import { printable, withoutControls } from '../wire/printable.js';
import { hashFiles } from './fileHash.js';
import { decodeSavedModel, type MetaGraphDef } from './savedModelProto.js';

/** The tag of graphs meant for serving. */
export const SERVE = 'serve';

const GRAPH = 'saved_model.pb';
/** Folders whose files the graph reads. */
const FOLDERS = ['variables', 'assets'];

/**
 * "sha256:<hex>" over the paths, sizes and bytes of saved_model.pb and of all files in variables/ and
 * assets/, in the order of their paths. Links are followed. Throws CheckpointError naming what can't be read.
 */
export async function hashSavedModel(directory: string): Promise<string> {
  const paths = [GRAPH];
  for (const folder of FOLDERS) paths.push(...(await filesBelow(directory, folder)));
  const hash = createHash('sha256');
  await hashFiles(hash, directory, paths.sort());
  return `sha256:${hash.digest('hex')}`;
}

/** The graph with the tag "serve". Throws CheckpointError if there is none. */
export async function readMetaGraph(directory: string): Promise<MetaGraphDef> {
  const { metaGraphs } = decode(await readGraphFile(directory));
  const tagsOf = ({ metaInfoDef }: MetaGraphDef) => metaInfoDef?.tags ?? [];
  // TensorFlow's loader also requires exactly these tags.
  const served = metaGraphs.find((graph) => tagsOf(graph).join() === SERVE);
  if (served !== undefined) return served;
  const given = metaGraphs.map((graph) => `[${withoutControls(tagsOf(graph).join(', '))}]`);
  throw new CheckpointError(
    `${GRAPH}: ${given.length === 0 ? 'no graph' : `graphs with the tags ${given.join(', ')}`} given, wanted one with the tag '${SERVE}' alone`,
  );
}

/** SaverDef.CheckpointFormatVersion: V2 writes an index and data files, older versions a single file. */
const SAVER_V2 = 2;

/** Checks what TensorFlow's loader doesn't: without an index file it loads the graph without variables. */
export async function checkVariables(directory: string, graph: MetaGraphDef): Promise<void> {
  const variables = graph.graphDef?.node.filter(({ op }) =>
    /^(VarHandleOp|VariableV?2?)$/.test(op),
  );
  if (variables === undefined || variables.length === 0) return;
  const saver = graph.saverDef?.version ?? SAVER_V2;
  if (saver !== SAVER_V2) {
    throw new CheckpointError(
      `${GRAPH}: saver version ${saver} given, wanted ${SAVER_V2}: save it with TensorFlow 2`,
    );
  }
  const names = await filesBelow(directory, 'variables');
  for (const wanted of [/^variables\/variables\.index$/, /^variables\/variables\.data-/]) {
    if (names.some((name) => wanted.test(name))) continue;
    const file = wanted.source.replaceAll(/[\\^$]/g, '').replace(/-$/, '-00000-of-00001');
    throw new CheckpointError(
      `${file}: no such file, but the graph has ${variables.length} variables (the first is '${withoutControls(variables[0]!.name)}')`,
    );
  }
}

async function readGraphFile(directory: string): Promise<Uint8Array> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    const what = error.code === 'ENOENT' ? 'no such folder' : error.message;
    throw new CheckpointError(`${what}, wanted the folder of a SavedModel`, { cause: error });
  });
  if (!names.includes(GRAPH)) {
    const text = names.includes('saved_model.pbtxt') ? ' (saved_model.pbtxt is not read)' : '';
    const given = names.sort().slice(0, 10).join(', ') || 'nothing';
    throw new CheckpointError(
      `no ${GRAPH} in the folder, which holds ${withoutControls(given)}${text}`,
    );
  }
  try {
    return await readFile(join(directory, GRAPH));
  } catch (error) {
    throw new CheckpointError(`${GRAPH}: ${(error as Error).message}`, { cause: error });
  }
}

function decode(bytes: Uint8Array): { readonly metaGraphs: readonly MetaGraphDef[] } {
  try {
    return decodeSavedModel(bytes);
  } catch (error) {
    const why = withoutControls((error as Error).message);
    throw new CheckpointError(
      `${GRAPH}: ${bytes.length} bytes that aren't a SavedModel message (${why}): truncated, or another file`,
      { cause: error },
    );
  }
}

/** Folders in folders; links can lead back to where they are. */
const DEEPEST = 16;

/** Paths relative to `directory`, with forward slashes; none if there is no such folder. Follows links. */
async function filesBelow(directory: string, folder: string, depth = 1): Promise<string[]> {
  if (depth > DEEPEST) {
    throw new CheckpointError(`${printable(folder)}: folders more than ${DEEPEST} deep`);
  }
  let names: string[];
  try {
    names = await readdir(join(directory, folder));
  } catch (error) {
    if (depth === 1 && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(folder, error);
  }
  const found: string[] = [];
  for (const name of names) {
    const path = posix.join(folder, name);
    const entry = await stat(join(directory, path)).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    if (entry.isDirectory()) found.push(...(await filesBelow(directory, path, depth + 1)));
    else if (entry.isFile()) found.push(path);
    else throw new CheckpointError(`${printable(path)}: neither a file nor a folder`);
  }
  return found;
}

function unreadable(path: string, error: unknown): CheckpointError {
  const { code, message } = error as NodeJS.ErrnoException;
  const why = code === 'ENOENT' ? 'a link to nothing' : message;
  return new CheckpointError(`${printable(path)}: ${why}`, { cause: error });
}
