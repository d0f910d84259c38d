/** The report of a run: report.html, whole in itself, and the same as one picture, report.png. */
import { join } from 'node:path';
import type { Chart } from './chart.js';
import { replaceFile } from './durableFiles.js';
import { reportHtml } from './reportHtml.js';
import { reportPng } from './reportPng.js';

export interface ReportTable {
  readonly columns: readonly string[];
  /** One cell a column; numbers as they should be read. */
  readonly rows: readonly (readonly string[])[];
}

export interface ReportImage {
  readonly png: Uint8Array;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** A grid: one label a row, images[row][column]. */
export interface ReportPictures {
  readonly title: string;
  readonly rowLabels: readonly string[];
  readonly images: readonly (readonly ReportImage[])[];
  /** What the colours mean; CSS colours. In the HTML only. */
  readonly legend?: readonly { readonly name: string; readonly color: string }[];
}

export interface ReportData {
  readonly title: string;
  /** A line below the title. */
  readonly subtitle?: string;
  readonly table: ReportTable;
  readonly charts: readonly Chart[];
  readonly pictures: ReportPictures | null;
  /** In the HTML only, as are the details. */
  readonly moreTables?: readonly { readonly title: string; readonly table: ReportTable }[];
  /** Longer texts (config, environment); folded up unless isOpen. */
  readonly details: readonly {
    readonly name: string;
    readonly text: string;
    readonly isOpen?: boolean;
  }[];
}

/** Writes report.html and report.png into a run's folder; returns their paths. */
export async function writeReport(
  folder: string,
  data: ReportData,
): Promise<{ html: string; png: string }> {
  const html = join(folder, 'report.html');
  const png = join(folder, 'report.png');
  await replaceFile(html, reportHtml(data));
  await replaceFile(png, await reportPng(data));
  return { html, png };
}
