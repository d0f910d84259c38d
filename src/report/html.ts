/** A report as one HTML file that fetches nothing and runs only the scripts of its charts. */
import type { Chart } from './charts/chart.js';
import { liveCharts } from './charts/live.js';
import { attributes, element, escapeText, pngDataUri } from './markup.js';
import type { ReportData, ReportPictures, ReportTable } from './reportData.js';
import { isNumeric } from './table.js';

const STYLE = `
  body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1f2933; background: #fff;
    max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.6rem; margin: 0 0 .4rem; }
  .subtitle { color: #5f6b7a; margin: 0 0 1rem; }
  .legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: 0 0 .8rem; }
  .legend svg { width: 14px; height: 14px; vertical-align: -2px; margin-right: .4rem; }
  h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
  table.figures { border-collapse: collapse; }
  table.figures th, table.figures td { padding: .35rem .9rem; border-bottom: 1px solid #e4e8ed; text-align: left; }
  table.figures th { color: #5f6b7a; font-weight: 600; border-bottom: 2px solid #b6bec8; }
  table.figures .number { text-align: right; font-variant-numeric: tabular-nums; }
  .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 1rem; }
  .chart { aspect-ratio: 554 / 330; margin: 0; border: 1px solid #e4e8ed; border-radius: 6px; }
  .chart > svg { width: 100%; height: 100%; }
  .pictures { overflow-x: auto; }
  .pictures th { text-align: right; padding-right: .8rem; font-weight: 600; color: #5f6b7a; white-space: nowrap; }
  .pictures img { display: block; width: 100%; min-width: 170px; height: auto; border-radius: 3px; }
  details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
  pre { background: #f5f7f9; border-radius: 6px; padding: .8rem; overflow-x: auto; font-size: 13px; }
`;

/** @param charts one svg element per chart of the report, shown if scripts can't run */
export function reportHtml(data: ReportData, charts: readonly string[]): string {
  const details = data.details.map(
    ({ name, text, isOpen = false }) =>
      `<details${isOpen ? ' open' : ''}><summary>${escapeText(name)}</summary><pre>${escapeText(text)}</pre></details>`,
  );
  const live = liveCharts(data.charts);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'${live.policy}">
<title>${escapeText(data.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeText(data.title)}</h1>
${data.subtitle === undefined ? '' : `<p class="subtitle">${escapeText(data.subtitle)}</p>`}
${tableHtml(data.table)}
${chartsHtml(data.charts, charts)}
${data.pictures === null ? '' : picturesHtml(data.pictures)}
${(data.moreTables ?? []).map(({ title, table }) => `<h2>${escapeText(title)}</h2>\n${tableHtml(table)}`).join('\n')}
${details.length === 0 ? '' : `<h2>Details</h2>\n${details.join('\n')}`}
${live.scripts}
</body>
</html>
`;
}

function chartsHtml(charts: readonly Chart[], drawn: readonly string[]): string {
  if (charts.length === 0) return '';
  const figures = charts.map(({ title }, i) =>
    element('figure', { class: 'chart', role: 'img', 'aria-label': title }, drawn[i]),
  );
  return `<h2>Curves</h2>\n<div class="charts">\n${figures.join('\n')}\n</div>`;
}

function tableHtml({ columns, rows }: ReportTable): string {
  const cell = (tag: string, text: string, numeric: boolean) =>
    `<${tag}${numeric ? ' class="number"' : ''}>${escapeText(text)}</${tag}>`;
  const isNumber = columns.map((_, index) => isNumeric(rows, index));
  const line = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((text, index) => cell(tag, text, isNumber[index] ?? false)).join('')}</tr>`;
  return `<table class="figures">
<thead>${line('th', columns)}</thead>
<tbody>
${rows.map((cells) => line('td', cells)).join('\n')}
</tbody>
</table>`;
}

function picturesHtml({ title, rowLabels, images, legend = [] }: ReportPictures): string {
  const rows = images.map((row, index) => {
    const name = rowLabels[index] ?? '';
    const cells = row.map(({ png, width, height }) =>
      element('td', {}, `<img${attributes({ src: pngDataUri(png), alt: name, width, height })}>`),
    );
    return `<tr><th scope="row">${escapeText(name)}</th>${cells.join('')}</tr>`;
  });
  const swatches = legend.map(
    ({ name, color }) =>
      `<li><svg viewBox="0 0 14 14">${element('rect', { width: 14, height: 14, fill: color, stroke: '#b6bec8' })}</svg>${escapeText(name)}</li>`,
  );
  return `<h2>${escapeText(title)}</h2>
${legend.length === 0 ? '' : `<ul class="legend">${swatches.join('')}</ul>`}
<div class="pictures"><table>
${rows.join('\n')}
</table></div>`;
}
