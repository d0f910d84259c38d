/** The content of a chart. options.ts decides how it is drawn. */

export interface ChartSeries {
  readonly name: string;
  /** [x, y] with ascending x; a y that isn't finite leaves a gap. */
  readonly points: readonly (readonly [number, number])[];
  /** #rrggbb or a name. Default: by the series' index in the palette. */
  readonly color?: string;
  /** [x, low, high], drawn as a pale area behind the line; not with logarithmic axes. */
  readonly band?: readonly (readonly [number, number, number])[];
}

export interface LineChart {
  readonly kind?: 'lines';
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly ChartSeries[];
  /** Logarithmic axes; values of 0 and below leave gaps. */
  readonly logX?: boolean;
  readonly logY?: boolean;
  /** Draws the running mean over this number of points, and the points themselves faintly behind. */
  readonly smoothing?: number;
}

export interface BarSeries {
  readonly name: string;
  /** One per category, at least 0; null: no bar. */
  readonly values: readonly (number | null)[];
  readonly color?: string;
}

/** Bars in groups: a group per category, a bar per series. */
export interface BarChart {
  readonly kind: 'bars';
  readonly title: string;
  readonly yLabel: string;
  readonly categories: readonly string[];
  readonly series: readonly BarSeries[];
}

export interface ShareRow {
  readonly name: string;
  /** One per part, at least 0, in any unit. */
  readonly values: readonly number[];
  /** Text at the right that states the total. */
  readonly note: string;
}

/** Parts of a whole: one horizontal bar per row, all of the same length, divided into parts. */
export interface ShareChart {
  readonly kind: 'shares';
  readonly title: string;
  readonly parts: readonly string[];
  readonly rows: readonly ShareRow[];
}

export type Chart = LineChart | BarChart | ShareChart;

/** Pixels. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}
