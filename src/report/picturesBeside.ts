/** Pictures of several runs as one grid. */
import type { ReportPictures } from './reportData.js';

/** Image and label of the first run, then the predictions of all runs that show the same images. */
export function picturesBeside(
  runs: readonly { readonly name: string; readonly pictures: ReportPictures | null }[],
): ReportPictures | null {
  const first = runs.map(({ pictures }) => pictures).find((pictures) => pictures !== null);
  if (first === undefined || first === null) return null;
  const isSame = ({ images }: ReportPictures) =>
    images[0]?.length === first.images[0]?.length &&
    images[0]!.every(({ png }, i) => Buffer.compare(png, first.images[0]![i]!.png) === 0);
  const shown = runs.flatMap(({ name, pictures }) =>
    pictures !== null && isSame(pictures) && pictures.images[2] !== undefined
      ? [{ name, images: pictures.images[2] }]
      : [],
  );
  return {
    title: first.title,
    legend: first.legend ?? [],
    rowLabels: [...first.rowLabels.slice(0, 2), ...shown.map(({ name }) => name)],
    images: [...first.images.slice(0, 2), ...shown.map(({ images }) => images)],
  };
}
