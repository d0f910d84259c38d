/** What a measurement opens: closed again in reverse order, whatever becomes of it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Closable {
  close(): Promise<void>;
}

export type Open = <Part extends Closable>(starting: Part | Promise<Part>) => Promise<Part>;

/** The result of `work`, which gives each part that it starts to `open`. */
export async function withOpened<Result>(work: (open: Open) => Promise<Result>): Promise<Result> {
  const parts: Closable[] = [];
  try {
    return await work(async (starting) => {
      const part = await starting;
      parts.push(part);
      return part;
    });
  } finally {
    for (const part of parts.reverse()) await part.close();
  }
}

/** A temporary folder; closing it removes it. */
export async function scratchFolder(): Promise<Closable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cirkd-bench-'));
  return { path, close: () => rm(path, { recursive: true, force: true }) };
}
