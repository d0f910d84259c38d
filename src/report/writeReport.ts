/** Writes the report of a run: report.html, a self-contained file, and the picture report.png. */
import { join } from 'node:path';
import { replaceFile } from '../run/durableFiles.js';
import { renderCharts } from './charts/render.js';
import { reportHtml } from './html.js';
import { reportPng } from './png.js';
import type { ReportData } from './reportData.js';

/** Writes report.html and report.png into a run's folder; returns their paths. */
export async function writeReport(
  folder: string,
  data: ReportData,
): Promise<{ html: string; png: string }> {
  const html = join(folder, 'report.html');
  const png = join(folder, 'report.png');
  const charts = await renderCharts(data.charts);
  await replaceFile(html, reportHtml(data, charts));
  await replaceFile(png, await reportPng(data, charts));
  return { html, png };
}
