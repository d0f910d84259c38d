/** Stores the pictures of a run's report as files, so that it can be made again without the data. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ensureFolder, replaceFile } from '../run/durableFiles.js';
import type { ReportImage, ReportPictures } from './reportData.js';

const INDEX_NAME = 'report.json';

/** File names are checked, because the index must not refer to files outside of its folder. */
const indexSchema = z.strictObject({
  title: z.string(),
  legend: z.array(z.strictObject({ name: z.string(), color: z.string() })).default([]),
  rows: z.array(
    z.strictObject({
      label: z.string(),
      images: z.array(
        z.strictObject({
          file: z.string().regex(/^[a-z0-9-]+\.png$/),
          width: z.number().int().min(1),
          height: z.number().int().min(1),
        }),
      ),
    }),
  ),
});

/** The legend for label maps; `palette`: RGB, 0 to 255. */
export function classLegend(
  classNames: readonly string[],
  palette: readonly (readonly number[])[],
): NonNullable<ReportPictures['legend']> {
  const hex = (value: number) => value.toString(16).padStart(2, '0');
  return classNames.map((name, k) => ({
    name,
    color: `#${(palette[k] ?? [0, 0, 0]).map(hex).join('')}`,
  }));
}

/** Writes `report-<row>-<column>.png` files and, last, their index, report.json. */
export async function savePictures(folder: string, pictures: ReportPictures): Promise<void> {
  await ensureFolder(folder);
  const rows: z.infer<typeof indexSchema>['rows'] = [];
  for (const [row, label] of pictures.rowLabels.entries()) {
    const images = [];
    for (const [column, { png, width, height }] of (pictures.images[row] ?? []).entries()) {
      const file = `report-${row}-${column}.png`;
      await replaceFile(join(folder, file), png);
      images.push({ file, width, height });
    }
    rows.push({ label, images });
  }
  const index = { title: pictures.title, legend: pictures.legend ?? [], rows };
  await replaceFile(join(folder, INDEX_NAME), `${JSON.stringify(index, null, 2)}\n`);
}

/** null if no pictures were saved or some of those in the index are missing. */
export async function loadPictures(folder: string): Promise<ReportPictures | null> {
  try {
    const text = await readFile(join(folder, INDEX_NAME), 'utf8');
    const { title, legend, rows } = indexSchema.parse(JSON.parse(text));
    const images: ReportImage[][] = [];
    for (const row of rows) {
      images.push(
        await Promise.all(
          row.images.map(async ({ file, width, height }) => ({
            ...{ width, height },
            png: new Uint8Array(await readFile(join(folder, file))),
          })),
        ),
      );
    }
    return { title, legend, rowLabels: rows.map(({ label }) => label), images };
  } catch {
    return null;
  }
}
