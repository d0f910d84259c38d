/** The content of a report, independent of its format. */
import type { Chart } from './charts/chart.js';

export interface ReportTable {
  readonly columns: readonly string[];
  /** Each row has one cell per column; numbers are already formatted. */
  readonly rows: readonly (readonly string[])[];
}

export interface ReportImage {
  readonly png: Uint8Array;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

/** A grid of pictures, images[row][column], with one label per row. */
export interface ReportPictures {
  readonly title: string;
  readonly rowLabels: readonly string[];
  readonly images: readonly (readonly ReportImage[])[];
  /** The meaning of the colours, as CSS colours. In the HTML only. */
  readonly legend?: readonly { readonly name: string; readonly color: string }[];
}

export interface ReportData {
  readonly title: string;
  /** A line below the title. */
  readonly subtitle?: string;
  readonly table: ReportTable;
  readonly charts: readonly Chart[];
  readonly pictures: ReportPictures | null;
  /** In the HTML only, like the details. */
  readonly moreTables?: readonly { readonly title: string; readonly table: ReportTable }[];
  /** Longer texts (config, environment), collapsed unless isOpen. */
  readonly details: readonly {
    readonly name: string;
    readonly text: string;
    readonly isOpen?: boolean;
  }[];
}
