/** What a report shows, whatever form it takes. */
import type { Chart } from './charts/chart.js';

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
